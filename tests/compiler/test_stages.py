# SPDX-License-Identifier: Apache-2.0
"""The arena at each stage of compilation: it only falls, and the first stage is what TFLite Micro's rule gives."""
from __future__ import annotations

import pytest

from mcunas.board import Board
from mcunas.compiler import compile_graph
from mcunas.compiler.lifetime import Program
from mcunas.compiler.stages import stages
from mcunas.graph import read_tflite
from tests.compiler.concatenations import ghost_net
from tests.compiler.test_order import as_given
from tests.compiler.test_plan import tflm_greedy_arena


@pytest.mark.parametrize("name", ["kws_ref_model", "pretrainedResnet_quant", "vww_96_int8", "ad01_int8"])
def test_every_stage_takes_ram_away(name, data_dir):
    graph, board = read_tflite(data_dir / "mlperf_tiny" / f"{name}.tflite"), Board.load("mps2-an386")
    final = compile_graph(graph, board).plan
    arenas = [stage.plan.arena_bytes for stage in stages(graph, final, board.isa)]
    assert arenas == sorted(arenas, reverse=True) and arenas[-1] == final.arena_bytes
    titles = [stage.what for stage in stages(graph, final, board.isa)]
    assert sum("dead channels" in what for what in titles) == (name == "vww_96_int8") and titles[-1] == "row by row"
    as_tflm = tflm_greedy_arena(as_given(Program.of(graph, board.isa)))
    assert arenas[0] == pytest.approx(as_tflm, rel=0.02)       # steps of 4 bytes instead of 16; RESHAPE costs nothing


def test_strips_are_the_last_stage_where_there_are_some(data_dir):
    graph, board = read_tflite(data_dir / "mlperf_tiny" / "pretrainedResnet_quant.tflite"), Board.load("mps2-an386")
    final = compile_graph(graph, board, "ram")
    found = stages(graph, final.plan, board.isa, final.patches.before)
    arenas = [stage.plan.arena_bytes for stage in found]
    assert arenas == sorted(arenas, reverse=True) and arenas[-1] == final.plan.arena_bytes < 0.9 * arenas[-2]
    assert [stage.what for stage in found[-2:]] == ["row by row", "in strips"]


def test_parts_in_their_wholes_are_a_stage():
    graph, board = ghost_net(8, 12, 2), Board.load("mps2-an386")
    found = {stage.what: stage.plan.arena_bytes for stage in stages(graph, compile_graph(graph, board).plan, board.isa)}
    assert found["parts in their wholes"] < next(iter(found.values()))
