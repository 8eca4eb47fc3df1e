# SPDX-License-Identifier: Apache-2.0
"""Resizing: numpy reference = TFLite Micro = generated C, every byte."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcunas.errors import InputError
from mcunas.graph import Graph, Op, Quant, Tensor, verify
from tests.kernels.agreement import c_differences
from tests.kernels.bundle import bundle, draw
from tests.kernels.strategies_tensor import RESIZE
from tests.oracle import differences

_KINDS = pytest.mark.parametrize("kind", sorted(RESIZE))


@_KINDS
@settings(max_examples=200)
@given(st.data())
def test_reference_equals_tflite_micro(kind, data):
    assert differences(*data.draw(RESIZE[kind])) == []


@_KINDS
def test_c_equals_reference(kind, tmp_path):
    assert c_differences(bundle(draw(RESIZE[kind], 40)), tmp_path) == []


@_KINDS
def test_c_stays_within_its_tensors(kind, tmp_path):
    assert c_differences(draw(RESIZE[kind], 1, 100)[0], tmp_path) == []


def _column(kind, size_in, size_out, align_corners=False, half_pixel_centers=False):
    """Resizing of one column of pixels."""
    quant, size = Quant.of(1.0), np.array([size_out, 1], np.int32)
    tensors = (Tensor("x", (1, size_in, 1, 1), "int8", quant), Tensor("size", (2,), "int32", None, size),
               Tensor("y", (1, size_out, 1, 1), "int8", quant))
    attrs = {"align_corners": align_corners, "half_pixel_centers": half_pixel_centers}
    return Graph(tensors, (Op(kind, (0, 1), (2,), attrs),), (0,), (2,))


@pytest.mark.parametrize("sizes", [(2, 82, False, False), (2, 41, False, True), (2, 83, True, False),
                                   (4, 38, True, True)])
def test_nearest_positions_round_as_float32_products_do(sizes):
    """In exact arithmetic one of these positions falls on another pixel."""
    x = np.arange(sizes[0], dtype=np.int8).reshape(1, -1, 1, 1)
    assert differences(_column("RESIZE_NEAREST_NEIGHBOR", *sizes), [x]) == []


def test_a_ratio_at_which_tflite_micro_reads_past_the_input_is_refused():
    verify(_column("RESIZE_BILINEAR", 1, 60))
    with pytest.raises(InputError, match="past the input"):
        verify(_column("RESIZE_BILINEAR", 1, 70))


def test_bilinear_with_both_coordinate_conventions_is_refused():
    with pytest.raises(InputError, match="exclude each other"):
        verify(_column("RESIZE_BILINEAR", 2, 4, True, True))
