# SPDX-License-Identifier: Apache-2.0
"""Concatenations and slices without a copy: the same bytes, never more RAM, and only where every kernel beside them can."""
from __future__ import annotations

import numpy as np
import pytest

from mcunas.board import Board
from mcunas.compiler import compile_graph
from mcunas.compiler.joining import KINDS, joinable, joined
from mcunas.compiler.lifetime import Program
from mcunas.compiler.plan import plan
from mcunas.compiler.schedule import Schedule
from mcunas.device import build, validate
from mcunas.graph import Graph, Op, Quant, Tensor, write_tflite
from tests.compiler.concatenations import concatenating_network, ghost_net
from tests.compiler.poison import wrong
from tests.compiler.random_plans import randomly_cut
from tests.kernels.bundle import draw
from tests.oracle import differences

CORES = ("mps2-an386", "mps2-an385", "mps2-an385-m0plus", "mps3-an547")
CASES = draw(concatenating_network(), 16, 3)


def _joined(schedule: Schedule) -> int:
    program = schedule.program
    return sum(op.kind in KINDS and not calls for op, calls in zip(program.graph.ops, program.calls))


@pytest.mark.parametrize("key", CORES)
def test_random_networks_give_the_same_bytes(key, tmp_path):
    count = 0
    for number, case in enumerate(CASES[CORES.index(key)::4]):
        assert differences(*case) == []
        compiled = compile_graph(case[0], Board.load(key), ("balanced", "ram", "cycles")[number % 3], model_id="model",
                                 rewrite=number % 2 == 0)
        assert wrong(compiled, case, tmp_path / str(number)) == []
        count += _joined(compiled.plan.schedule)
    assert count > 1


def test_randomly_cut_and_streamed_networks_give_the_same_bytes(tmp_path):
    for number, case in enumerate(CASES[:4]):
        compiled = randomly_cut(case[0], number, ("dsp", "m3", "m0", "mve")[number])
        assert wrong(compiled, case, tmp_path / str(number)) == []


@pytest.mark.parametrize("goal", ["balanced", "ram", "cycles"])
def test_ram_is_never_more_than_with_copies(goal, monkeypatch):
    for isa in ("dsp", "m0", "mve"):
        found = [plan(graph, isa, goal) for graph, _ in CASES]
        with monkeypatch.context() as patch:
            patch.setattr("mcunas.compiler.schedule.joinable", lambda program: ())
            copying = [plan(graph, isa, goal) for graph, _ in CASES]
        # The peaks are compared; where a buffer's place leaves a gap, an arena may be a few bytes above its peak.
        assert all(a.bound_bytes <= b.bound_bytes for a, b in zip(found, copying))
        assert sum(a.arena_bytes for a in found) < sum(b.arena_bytes for b in copying)


@pytest.mark.parametrize("key", CORES)
def test_a_ghost_net_has_no_copies_and_one_buffer_per_module(key):
    graph, board = ghost_net(), Board.load(key)
    compiled = compile_graph(graph, board)
    assert "mn_copy_s8" not in compiled.model_c and _joined(compiled.plan.schedule) == 3
    largest = max(graph.tensors[op.outputs[0]].size_bytes for op in graph.ops if op.kind == "CONCATENATION")
    scratch = max(compiled.plan.program.scratch_bytes(i) for i in range(len(graph.ops)))
    assert compiled.plan.arena_bytes <= largest + scratch


@pytest.mark.parametrize("key", ["mps2-an386", "mps2-an385-m0plus", "mps3-an547"])
def test_a_ghost_net_on_the_core_is_bit_exact_in_the_planned_ram(key, tmp_path):
    graph = ghost_net(8, 12, 2)
    compiled = compile_graph(graph, Board.load(key))
    assert _joined(compiled.plan.schedule) == 2
    report = validate(build(compiled, Board.load(key), tmp_path, tflite=write_tflite(graph)), n_random=3)
    assert report.passed and report.to_json()["ram_bytes"] == compiled.plan.arena_bytes


def _module(readers: int, kernel: int = 1) -> Graph:
    """A Ghost module whose first half a convolution reads too (readers 1), or that is an output itself (2)."""
    net = ghost_net(8, 6, 1)
    primary = next(op for op in net.ops if op.kind == "CONCATENATION").inputs[0]
    if readers == 2:
        return net.with_(outputs=(*net.outputs, primary))
    if readers == 1:
        return _with_reader(net, primary, kernel)
    return net


def _with_reader(graph: Graph, source: int, kernel: int) -> Graph:
    depth, count = graph.tensors[source].shape[3], len(graph.tensors)
    weights = Tensor("w", (4, kernel, kernel, depth), "int8", Quant.of(0.01),
                     np.random.default_rng(0).integers(-127, 128, (4, kernel, kernel, depth)).astype(np.int8))
    out = Tensor("more", (*graph.tensors[source].shape[:3], 4), "int8", Quant.of(0.5))
    attrs = {"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "padding": "SAME", "activation": "NONE"}
    return graph.with_(tensors=(*graph.tensors, weights, out), outputs=(*graph.outputs, count + 1),
                       ops=(*graph.ops, Op("CONV_2D", (source, count, -1), (count + 1,), attrs)))


@pytest.mark.parametrize("readers, kernel, isa, can", [(0, 1, "dsp", True), (1, 1, "dsp", True), (1, 3, "dsp", False),
                                                       (1, 3, "scalar", True), (2, 1, "dsp", False)])
def test_who_reads_a_part_decides(readers, kernel, isa, can):
    """A window of several pixels is read as one run of bytes by the fast kernels; an output must lie by itself."""
    assert bool(joinable(Program.of(_module(readers, kernel), isa))) == can


def test_steps_are_those_of_the_whole():
    graph = ghost_net(8, 6, 1)
    program = Program.of(graph, "dsp")
    whole = joined(program, joinable(program))
    primary, cheap = (next(i for i, op in enumerate(graph.ops) if op.kind == kind and i) for kind in (
        "CONV_2D", "DEPTHWISE_CONV_2D"))
    assert whole.calls[primary][0].params["out_step"] == whole.calls[cheap][0].params["in_step"] == 16
    assert [whole.parts[op.outputs[0]][1] for op in (graph.ops[primary], graph.ops[cheap])] == [0, 8]


@pytest.mark.parametrize("key", CORES)
def test_a_slice_is_read_where_it_lies(key, tmp_path):
    """Channels 3 to 9 of a Ghost module's 16, by a 1x1 convolution: at no word's beginning."""
    graph = ghost_net(8, 6, 1)
    whole = next(op for op in graph.ops if op.kind == "CONCATENATION").outputs[0]
    count, shape = len(graph.tensors), graph.tensors[whole].shape
    bounds = (np.array(v, np.int32) for v in ([0, 0, 0, 3], [*shape[:3], 10], [1] * 4))
    tensors = (*graph.tensors, *(Tensor(f"v{k}", (4,), "int32", None, v) for k, v in enumerate(bounds)),
               Tensor("part", (*shape[:3], 7), "int8", graph.tensors[whole].quant))
    masks = dict.fromkeys(("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0)
    cut = Op("STRIDED_SLICE", (whole, count, count + 1, count + 2), (count + 3,), masks)
    graph = _with_reader(graph.with_(tensors=tensors, ops=(*graph.ops, cut)), count + 3, 1)
    case = graph, [np.random.default_rng(0).integers(-128, 128, graph.tensors[0].shape).astype(np.int8)]
    assert differences(*case) == []
    compiled = compile_graph(graph, Board.load(key), model_id="model")
    assert "mn_copy_s8" not in compiled.model_c and wrong(compiled, case, tmp_path) == []
