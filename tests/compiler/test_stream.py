# SPDX-License-Identifier: Apache-2.0
"""Networks computed row by row, and outputs over their inputs: the same bytes as the reference and TFLite Micro."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mcunas.board import Board
from mcunas.compiler import Compiled, compile_graph, plan
from mcunas.graph import Graph, read_tflite, reference
from tests.compiler.poison import wrong
from tests.compiler.random_plans import randomly_cut
from tests.kernels.bundle import bundle, draw
from tests.kernels.strategies_graph import row_network, small_graph
from tests.oracle import differences, run

ARENA_BYTES = {"kws_ref_model": 9500, "pretrainedResnet_quant": 22000, "vww_96_int8": 36000, "ad01_int8": 900}


def streams(compiled: Compiled) -> int:
    return sum(step.stream is not None for step in compiled.plan.schedule.steps)


@pytest.mark.parametrize("number", range(12))
def test_networks_cut_into_streams_at_random_give_the_same_bytes(number, tmp_path):
    cases = draw(row_network(), 4, number)
    for case in cases:
        assert differences(*case) == []
    graph, inputs = bundle(cases)
    compiled = randomly_cut(graph, number, ("scalar", "dsp")[number % 2])
    assert streams(compiled) >= 2
    assert wrong(compiled, (graph, inputs), tmp_path) == []


@pytest.mark.parametrize("number", range(12))
def test_planned_networks_give_the_same_bytes(number, tmp_path):
    case = draw(row_network() if number % 3 else small_graph(), 1, 100 + number)[0]
    compiled = compile_graph(case[0], Board.load("mps2-an386"), model_id="model", rewrite=number % 2 == 0)
    assert wrong(compiled, case, tmp_path) == []


def test_streams_never_cost_ram_and_often_save_it():
    graphs = [draw(row_network(), 1, number)[0][0] for number in range(40)]
    arenas = [(plan(graph, goal="ram").arena_bytes, plan(graph, goal="cycles").arena_bytes) for graph in graphs]
    assert all(streamed <= plain for streamed, plain in arenas)
    assert sum(streamed < plain for streamed, plain in arenas) >= 5


def mlperf(data_dir: Path, name: str) -> tuple[Graph, Compiled]:
    graph = read_tflite(data_dir / "mlperf_tiny" / f"{name}.tflite")
    return graph, compile_graph(graph, Board.load("mps2-an386"), "ram", model_id="model")


@pytest.mark.parametrize("name", ARENA_BYTES)
def test_mlperf_models_fit_their_arena_and_give_tflite_micros_bytes(name, data_dir, tmp_path):
    graph, compiled = mlperf(data_dir, name)
    assert compiled.plan.arena_bytes <= ARENA_BYTES[name]
    inputs = [np.random.default_rng(1).integers(-128, 128, graph.tensors[t].shape).astype(np.int8)
              for t in graph.inputs]
    assert wrong(compiled, (graph, inputs), tmp_path) == []
    assert run(graph, inputs)[graph.outputs[0]].tobytes() == reference.run(graph, inputs)[graph.outputs[0]].tobytes()
