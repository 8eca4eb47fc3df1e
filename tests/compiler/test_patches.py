# SPDX-License-Identifier: Apache-2.0
"""Patches: every strip gives the bytes of the whole, they are taken where the arena falls, and what they cost is told."""
from __future__ import annotations

from math import prod

import numpy as np
import pytest

from mcunas.board import Board
from mcunas.compiler import compile_graph, plan
from mcunas.compiler.passes.patches import patched, strips
from mcunas.cost import estimate
from mcunas.cost.measure_code import chain
from mcunas.device.alone import simulated
from mcunas.graph import Graph, reference, verify
from tests.compiler.poison import wrong
from tests.kernels.bundle import Case, draw
from tests.kernels.rows_program import RowsProgram
from tests.kernels.strategies_graph import row_network, small_graph

M4 = Board.load("mps2-an386")
WIDE_INSIDE = ("CONV_2D", "DEPTHWISE_CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "MAX_POOL_2D")


def wide_inside(side: int = 24) -> Graph:
    """One channel in and out, 16 in between: the rings of the layers between outweigh input and output."""
    return chain(WIDE_INSIDE, side, (1, 16, 16, 16, 1))


def with_input(graph: Graph) -> Case:
    rng = np.random.default_rng(5)
    return graph, [rng.integers(-128, 128, graph.tensors[t].shape).astype(np.int8) for t in graph.inputs]


def pieces(graph: Graph):
    for first in range(len(graph.ops)):
        for end in range(first + 1, len(graph.ops) + 1):
            for count in (2, 3, 4):
                if (found := patched(graph, first, end, count)) is not None:
                    yield (first, end, count), found


@pytest.mark.parametrize("block", range(3))
def test_strips_of_every_piece_give_the_same_bytes(block):
    tried = 0
    for number in range(block * 20, block * 20 + 20):
        graph, inputs = draw((row_network, small_graph)[number % 4 == 0](), 1, number)[0]
        wanted = reference.run(graph, inputs)
        for which, after in pieces(graph):
            found = reference.run(verify(after.graph), inputs)
            assert all(np.array_equal(wanted[a], found[b])
                       for a, b in zip(graph.outputs, after.graph.outputs)), (number, which)
            assert all(op.kind == graph.ops[o].kind for op, o in zip(after.graph.ops, after.origin) if o >= 0)
            tried += 1
    assert tried >= 60


def test_columns_are_cut_out_and_put_side_by_side_in_any_pieces(tmp_path):
    program = RowsProgram(seed=4)
    for number in range(12):
        graph, inputs = draw(row_network(), 1, number)[0]
        for _, after in list(pieces(graph))[-2:]:
            program.add((after.graph, inputs), "scalar", pieces=2)
    assert {"mn_columns_s8", "mn_beside_s8"} <= program.kernels and program.run(tmp_path) == []


@pytest.mark.parametrize("key", ["mps2-an386", "mps3-an547", "mps2-an385-m0plus"])
def test_the_compiled_strips_give_the_same_bytes(key, tmp_path):
    compiled = compile_graph(wide_inside(), Board.load(key), "ram", model_id="model")
    assert compiled.manifest["patches"] and wrong(compiled, with_input(wide_inside()), tmp_path) == []


def test_ram_falls_and_the_cost_is_told():
    graph = wide_inside()
    whole = plan(graph, M4.isa, "ram").arena_bytes
    manifest = compile_graph(graph, M4, "ram").manifest
    told = manifest["patches"]
    assert manifest["arena_bytes"] < 0.8 * whole
    cost = estimate(graph, M4, goal="ram", simulator=simulated)
    assert (cost.ram_bytes, cost.macs) == (manifest["arena_bytes"], manifest["macs"])
    plain = estimate(graph, M4, goal="cycles")
    assert cost.macs == plain.macs + told["extra_macs"] and cost.instructions > plain.instructions
    names = [graph.tensors[op.outputs[0]].name for op in graph.ops]
    first, end = names.index(told["segment"][0]), names.index(told["segment"][-1]) + 1
    twice = 0
    for op in graph.ops[first:end]:
        found = [s.columns[op.outputs[0]] for s in strips(graph, first, end, told["count"])]
        computed = sum(high - low for low, high in found)
        _, height, width, depth = graph.tensors[op.outputs[0]].shape
        taps = prod(graph.tensors[op.inputs[1]].shape[1:4 if op.kind == "CONV_2D" else 3]) if len(op.inputs) > 1 else 0
        twice += (computed - width) * height * depth * taps
    assert told["extra_macs"] == twice > 0


def test_patches_are_taken_only_where_they_gain():
    taken = 0
    for number in range(30):
        graph = draw(row_network(), 1, number)[0][0]
        compiled = compile_graph(graph, M4, "ram", rewrite=False)
        whole = plan(graph, M4.isa, "ram", choice={}).arena_bytes
        if compiled.manifest["patches"]:
            assert compiled.plan.arena_bytes < whole, number
            taken += 1
        for goal in ("balanced", "cycles", "flash"):
            assert compile_graph(graph, M4, goal, rewrite=False).manifest["patches"] is None
    assert taken < 30


def test_a_budget_that_nothing_else_keeps_is_kept_by_patches():
    graph = wide_inside()
    whole, strip = plan(graph, M4.isa, "ram").arena_bytes, compile_graph(graph, M4, "ram").plan.arena_bytes
    for goal in ("cycles", "balanced", "flash"):
        compiled = compile_graph(graph, M4, goal, ram_bytes=(whole + strip) // 2)
        assert compiled.manifest["patches"] and compiled.plan.arena_bytes <= (whole + strip) // 2
        assert compile_graph(graph, M4, goal, ram_bytes=whole).manifest["patches"] is None
