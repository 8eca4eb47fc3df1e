# SPDX-License-Identifier: Apache-2.0
"""The vector kernels: their C stand-ins on the host and their assembly in QEMU, byte-equal to the numpy reference.

Shapes are those that the vector lowering takes: batch 1, no groups. Awkward ones: one channel, one pixel, channels and
windows of every remainder, windows that hang over every border, all bytes at one end.
"""
from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from mcunas.board import Board
from mcunas.compiler import compile_graph
from mcunas.compiler.lower.linear_form import linear_form
from mcunas.device.build import build
from mcunas.device.host import build_host
from mcunas.device.run import run
from mcunas.graph import reference
from mcunas.graph.elementwise_params import SumParams
from tests.kernels.bundle import Case, bundle, draw
from tests.kernels.mve_strategies import CASES
from tests.kernels.rows_program import RowsProgram

_BOARD = "mps3-an547"


def _differences(case: Case, folder: Path) -> tuple[list[int], int]:
    """(outputs that differ from the reference, how many calls were of vector kernels) of the host build."""
    graph, inputs = case
    compiled = compile_graph(graph, Board.load(_BOARD))
    vector = sum(call.kernel.endswith("_mve") for calls in compiled.plan.program.calls for call in calls)
    expected, (found, _) = reference.run(graph, inputs), build_host(compiled, folder).run(inputs)
    return [k for k, t in enumerate(graph.outputs) if found[k].tobytes() != expected[t].tobytes()], vector


@pytest.mark.parametrize("kind", sorted(CASES))
def test_host_model_equals_reference(kind, tmp_path):
    different, vector_calls = _differences(bundle(draw(CASES[kind], 60)), tmp_path)
    assert different == [] and vector_calls > 25


@pytest.mark.parametrize("kind", sorted(CASES))
def test_kernel_stays_within_its_tensors(kind, tmp_path):
    """Alone in its arena: output over input where allowed, and no byte beside them."""
    assert _differences(draw(CASES[kind], 10, 200)[-1], tmp_path)[0] == []


@pytest.mark.parametrize("kind", sorted(CASES))
def test_pieces_give_the_whole_layer(kind, tmp_path):
    """Any cut of rows, both directions, ring buffers, over the input."""
    program = RowsProgram(seed=4)
    for case in draw(CASES[kind], 30, 9):
        program.add(case, "mve")
    assert any(name.endswith("_mve") for name in program.kernels) and program.run(tmp_path) == []


@pytest.mark.skipif(shutil.which("qemu-system-arm") is None or shutil.which("arm-none-eabi-gcc") is None,
                    reason="needs qemu-system-arm and arm-none-eabi-gcc")
@pytest.mark.parametrize("optimize", ["balanced", "flash"])
def test_assembly_equals_reference(optimize, tmp_path):
    """All kinds of layers in one firmware, on the emulated Cortex-M55; -Os aligns functions to halfwords only."""
    graph, inputs = bundle([case for kind in sorted(CASES) for case in draw(CASES[kind], 12, 40)])
    board, expected = Board.load(_BOARD), reference.run(graph, inputs)
    found = run(build(compile_graph(graph, board, optimize), board, tmp_path / "image"), inputs)
    assert [graph.where(k) for k, t in enumerate(graph.outputs) if found[k].tobytes() != expected[t].tobytes()] == []


def test_linear_form_gives_every_sum():
    """Against its own definition, with scales of both operands that are no powers of two."""
    p = SumParams(3, -7, 5, (1 << 30, 0), (0x5A3C0F11, -2), (0x61234567, -18), -128, 127)
    factor0, factor1, constant, shift = linear_form(p, 1)
    a = np.arange(-128, 128)
    found = np.clip((a[:, None] * factor0 + a[None, :] * factor1 + constant) >> shift, -128, 127)
    real = ((a[:, None] - 3) * 0.5 + (a[None, :] + 7) * 0x5A3C0F11 / 2**33) * 0x61234567 / 2**29 + 5
    assert np.abs(found - np.clip(real, -128, 127)).max() <= 0.5 + 1e-4


def test_linear_form_rounds_ties_away_from_zero():
    """(a + b) / 2: the factors are a little too large, so that halves on both sides of zero move outwards."""
    p = SumParams(0, 0, 0, (1 << 30, 0), (1 << 30, 0), (1 << 30, -19), -128, 127)
    factor0, factor1, constant, shift = linear_form(p, 1)
    a = np.arange(-128, 128)
    total = a[:, None] + a[None, :]
    found = np.clip((a[:, None] * factor0 + a[None, :] * factor1 + constant) >> shift, -128, 127)
    assert (found == np.clip(np.sign(total) * ((np.abs(total) + 1) // 2), -128, 127)).all()
