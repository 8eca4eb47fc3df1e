# SPDX-License-Identifier: Apache-2.0
"""Kernels called in pieces give the whole layer's bytes: any cut of rows, both directions, ring buffers, over an input.

So do kernels without rows whose output may overwrite an input.
"""
from __future__ import annotations

import pytest

from tests.kernels.bundle import draw
from tests.kernels.rows_program import RowsProgram
from tests.kernels.strategies import CASES
from tests.kernels.strategies_graph import small_graph
from tests.kernels.strategies_tensor import ELEMENTWISE

_ISAS = pytest.mark.parametrize("isa", ["scalar", "dsp"])
_KINDS = CASES | ELEMENTWISE | {"DEPTHWISE_CONV_2D 3x3": CASES["DEPTHWISE_CONV_2D"].filter(
    lambda case: case[0].tensors[1].shape[1:3] == (3, 3) and case[0].ops[0].attrs["depth_multiplier"] == 1)}


@_ISAS
@pytest.mark.parametrize("kind", sorted(_KINDS.keys() - {"TRANSPOSE_CONV"}))
def test_pieces_give_the_whole_layer(kind, isa, tmp_path):
    program = RowsProgram(seed=len(kind))
    for case in draw(_KINDS[kind], 30, 7):
        program.add(case, isa)
    assert program.kernels and program.run(tmp_path) == []


@_ISAS
def test_pieces_give_the_whole_op_in_networks(isa, tmp_path):
    program = RowsProgram(seed=3)
    for case in draw(small_graph(), 30, 7):
        program.add(case, isa)
    expected = {"mn_add_s8", "mn_mul_s8", "mn_minmax_s8", "mn_lut_s8", "mn_max_pool_s8", "mn_depthwise_s8"}
    assert expected <= {kernel.removesuffix("_dsp") for kernel in program.kernels} and program.run(tmp_path) == []
