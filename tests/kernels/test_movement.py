# SPDX-License-Identifier: Apache-2.0
"""Ops that move bytes: numpy reference = TFLite Micro = generated C, every byte."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcunas.compiler.lower.loops import any_order, loop_params, merged
from mcunas.errors import InputError
from mcunas.graph import Graph, Op, Quant, Tensor, verify
from tests.kernels.agreement import c_differences
from tests.kernels.bundle import bundle, draw
from tests.kernels.strategies_tensor import MOVEMENT
from tests.oracle import differences

_KINDS = pytest.mark.parametrize("kind", sorted(MOVEMENT))


@_KINDS
@settings(max_examples=150)
@given(st.data())
def test_reference_equals_tflite_micro(kind, data):
    assert differences(*data.draw(MOVEMENT[kind])) == []


@_KINDS
def test_c_equals_reference(kind, tmp_path):
    assert c_differences(bundle(draw(MOVEMENT[kind], 25)), tmp_path) == []


@_KINDS
def test_c_stays_within_its_tensors(kind, tmp_path):
    assert c_differences(draw(MOVEMENT[kind], 1, 100)[0], tmp_path) == []


def test_neighbouring_axes_without_gaps_become_one_loop():
    assert merged((2, 3, 4), (12, 4, 1), (24, 4, 1)) == merged((2, 12), (12, 1), (24, 1))
    params = loop_params(merged((2, 1, 12), (12, 12, 1), (12, 12, 1)), ("a", "b"))
    assert params == {"count": 24, "a": 1, "b": 1, "depth": 0, "loops": 0}


def test_a_long_strided_run_is_preferred_to_short_blocks():
    assert any_order(merged((1000, 2), (2, 1), (50, 1)))[-1].count == 1000
    assert any_order(merged((1000, 64), (64, 1), (128, 1)))[-1].count == 64


def _graph(kind, shape, out, constants, attrs, out_scale=1.0):
    data = [np.array(c, np.int32) for c in constants]
    tensors = (Tensor("x", shape, "int8", Quant.of(1.0)), Tensor("y", out, "int8", Quant.of(out_scale)),
               *(Tensor(f"c{i}", d.shape, "int32", None, d) for i, d in enumerate(data)))
    return Graph(tensors, (Op(kind, (0, *range(2, 2 + len(data))), (1,), attrs),), (0,), (1,))


_SLICE = {"begin_mask": 0, "end_mask": 0, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}
_DROP = _SLICE | {"shrink_axis_mask": 1}


@pytest.mark.parametrize(("graph", "reason"), [
    (_graph("TRANSPOSE", (1, 1, 1, 1, 2, 3), (3, 1, 1, 1, 1, 2), [[5, 0, 1, 2, 3, 4]], {}), "at most 5"),
    (_graph("STRIDED_SLICE", (1, 1, 1, 1, 2), (1, 1, 1, 1, 1), [[0] * 5, [1] * 5, [1] * 5], _SLICE), "at most 4"),
    (_graph("STRIDED_SLICE", (4,), (), [[1], [2], [-1]], _DROP), "negative stride"),
    (_graph("STRIDED_SLICE", (4,), (), [[1], [2], [1]], _DROP | {"begin_mask": 1}), "begin_mask"),
    (_graph("SQUEEZE", (1, 3), (1, 3), [], {}), "takes no axis"),
    (_graph("EXPAND_DIMS", (2, 3), (2, 3, 1), [1], {}), "axis of 1 at 1"),
    (_graph("PAD", (2,), (4,), [[[1, 1]]], {}, 0.5), "share scale"),
])
def test_what_tflite_micro_cannot_do_is_refused(graph, reason):
    with pytest.raises(InputError, match=reason):
        verify(graph)
