# SPDX-License-Identifier: Apache-2.0
"""Operator order: in parts it is the optimum of the whole, and large graphs are ordered well within seconds."""
from __future__ import annotations

import time

import pytest

from mcunas.compiler.lifetime import Program
from mcunas.compiler.order import Search, best_order
from mcunas.compiler.plan import Plan
from mcunas.compiler.schedule import Buffer, preferred
from tests.compiler.test_plan import random_program, tflm_greedy_arena, topological_orders


def exact_peak(search: Search) -> int:
    """Of one search over the whole graph."""
    ops = tuple(range(len(search.needs)))
    return search.exact(search.start, ops, (1 << len(ops)) - 1).peak


def is_legal(program: Program, order: tuple[int, ...]) -> bool:
    known, ops = set(program.graph.inputs), program.graph.ops
    return sorted(order) == list(range(len(ops))) and all(
        set(ops[i].inputs) <= known and not known.update(ops[i].outputs) for i in order)


def test_in_place_ops_too_are_ordered_best_of_all():
    for seed in range(60):
        program = random_program(seed, ops=6)
        search = Search(program)
        assert search.peak(best_order(program)) == min(map(search.peak, topological_orders(program))), seed


@pytest.mark.parametrize("block", range(3))
def test_the_parts_together_are_the_optimum_of_the_whole(block):
    several = 0
    for seed in range(block * 100, block * 100 + 100):
        program = random_program(seed, ops=16, reach=4)
        search = Search(program)
        order = search.best()
        assert is_legal(program, order) and search.peak(order) == exact_peak(search), seed
        several += len(list(search.parts())) > 1
    assert several >= 50


def test_beam_search_finds_the_optimum_mostly_and_never_less_than_the_given_order():
    best = 0
    for seed in range(300):
        program = random_program(seed, ops=14)
        beam, given = Search(program, max_states=0), tuple(range(len(program.graph.ops)))
        order = beam.best()
        assert is_legal(program, order) and beam.peak(order) <= beam.peak(given), seed
        best += beam.peak(order) == exact_peak(Search(program))
    assert best >= 295


def as_given(program: Program) -> list[Buffer]:
    """Every tensor in a buffer of its own while the ops run in the given order, and their scratch: what TFLM places."""
    graph, count = program.graph, len(program.graph.ops)
    made = {t: i for i, op in enumerate(graph.ops) for t in op.outputs}
    read = {program.storage.get(t): i for i, op in enumerate(graph.ops) for t in op.inputs}
    read |= {program.storage[t]: count for t in graph.outputs}
    found = [Buffer("", (t,), tensor.size_bytes, made.get(t, 0), read.get(t, made.get(t, 0)))
             for t, tensor in enumerate(graph.tensors) if program.storage.get(t) == t]
    return found + [Buffer("", (), program.scratch_bytes(i), i, i) for i in range(count) if program.scratch_bytes(i)]


@pytest.mark.parametrize(("reach", "seed"), [(1000, 1), (30, 2), (5, 4)])
def test_large_graphs_are_ordered_within_seconds_and_beat_tflms_plan(reach, seed):
    program = random_program(seed, ops=150, least=150, reach=reach)
    search, given, start = Search(program), tuple(range(150)), time.process_time()
    order = search.best()
    assert time.process_time() - start < 10
    assert is_legal(program, order) and search.peak(order) < search.peak(given)
    assert 1.03 * search.peak(order) < tflm_greedy_arena(as_given(program))


def test_the_plan_of_a_large_graph_beats_tflms():
    program = random_program(3, ops=100, least=100, reach=10)
    assert Plan.of(preferred(program, "ram")[0]).arena_bytes < tflm_greedy_arena(as_given(program))
