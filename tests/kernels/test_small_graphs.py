# SPDX-License-Identifier: Apache-2.0
"""Random small networks: numpy reference = TFLite Micro = generated C for every intermediate tensor, every byte.

What single-op tests cannot show: the memory plan, outputs that overwrite inputs, renamed tensors, several calls an op.
"""
from __future__ import annotations

import pytest
from hypothesis import given, settings

from tests.kernels.agreement import c_differences
from tests.kernels.bundle import bundle, draw
from tests.kernels.strategies_graph import small_graph
from tests.oracle import differences


@settings(max_examples=200)
@given(small_graph())
def test_reference_equals_tflite_micro(case):
    assert differences(*case) == []


@pytest.mark.parametrize("number", range(20))
def test_c_equals_reference(number, tmp_path):
    assert c_differences(draw(small_graph(), 1, number)[0], tmp_path) == []


def test_c_equals_reference_for_networks_side_by_side(tmp_path):
    assert c_differences(bundle(draw(small_graph(), 5)), tmp_path) == []
