# SPDX-License-Identifier: Apache-2.0
"""The planner against brute force, and its offsets against the definition of a legal plan."""
from __future__ import annotations

import itertools
import random

import pytest

from mcunas.compiler.lifetime import Program, aligned, buffers, live_bytes
from mcunas.compiler.lower import KernelCall
from mcunas.compiler.order import best_order
from mcunas.compiler.place import place
from mcunas.graph import Graph, Op, Tensor


def random_program(seed: int, ops: int, in_place: bool = True) -> Program:
    """A random DAG of up to `ops` two-input operations with random sizes, scratch and in-place permissions."""
    rng = random.Random(seed)
    tensors = [Tensor("in", (rng.randint(1, 60),), "int8")]
    nodes, calls = [], []
    for i in range(rng.randint(2, ops)):
        inputs = tuple(rng.sample(range(len(tensors)), min(len(tensors), rng.randint(1, 2))))
        size = tensors[inputs[0]].shape[0] if rng.random() < 0.4 else rng.randint(1, 60)
        tensors.append(Tensor(f"t{i}", (size,), "int8"))
        out = len(tensors) - 1
        nodes.append(Op("ADD", inputs, (out,)))
        overlay = (0,) if in_place and size == tensors[inputs[0]].shape[0] and rng.random() < 0.5 else ()
        calls.append((KernelCall("k", {}, inputs, (out,), rng.choice((0, 0, 12)), overlay),))
    read = {t for op in nodes for t in op.inputs}
    outputs = tuple(op.outputs[0] for op in nodes if op.outputs[0] not in read)
    graph = Graph(tuple(tensors), tuple(nodes), (0,), outputs)
    return Program(graph, tuple(calls), {t: t for t in graph.activations()})


def peak(program: Program, order: tuple[int, ...]) -> int:
    return max(live_bytes(buffers(program, order), len(order)))


def topological_orders(program: Program):
    ops = program.graph.ops
    for order in itertools.permutations(range(len(ops))):
        known = set(program.graph.inputs)
        if all(set(ops[i].inputs) <= known and not known.update(ops[i].outputs) for i in order):
            yield order


@pytest.mark.parametrize("block", range(10))
def test_order_is_the_optimum_of_all_topological_orders(block):
    for seed in range(block * 30, block * 30 + 30):
        program = random_program(seed, ops=7 if seed % 10 else 9, in_place=False)
        best = min(peak(program, order) for order in topological_orders(program))
        assert peak(program, best_order(program)) == best, f"seed {seed}"


def test_order_with_in_place_ops_is_never_worse_than_the_given_one():
    for seed in range(200):
        program = random_program(seed, ops=9)
        assert peak(program, best_order(program)) <= peak(program, tuple(range(len(program.graph.ops)))), seed


def tflm_greedy_arena(found) -> int:
    """TFLM's rule: largest first, each at the lowest gap between buffers that live at the same time, 16-byte steps."""
    placed: list[tuple[int, int, object]] = []
    for b in sorted(found, key=lambda b: -b.size_bytes):
        size, at = -(-b.size_bytes // 16) * 16, 0
        for low, high, other in sorted((p for p in placed), key=lambda p: p[0]):
            if other.first <= b.last and b.first <= other.last:
                if low - at >= size:
                    break
                at = max(at, high)
        placed.append((at, at + size, b))
    return max(high for _, high, _ in placed)


def test_offsets_never_overlap_reach_the_bound_mostly_and_beat_tflms_rule():
    at_bound = 0
    for seed in range(300):
        program = random_program(seed, ops=9)
        order = best_order(program)
        found = buffers(program, order)
        bound = max(live_bytes(found, len(order)))
        arena, offsets = place(found, bound)
        for (a, at_a), (b, at_b) in itertools.combinations(zip(found, offsets), 2):
            apart = at_a + a.size_bytes <= at_b or at_b + b.size_bytes <= at_a
            assert apart or a.last < b.first or b.last < a.first, f"seed {seed}: {a.name} overlaps {b.name}"
        assert all(at % 4 == 0 and at + b.size_bytes <= arena for b, at in zip(found, offsets))
        assert arena <= tflm_greedy_arena(found), f"seed {seed}"
        at_bound += aligned(arena) <= bound
    assert at_bound >= 295


def test_in_place_output_takes_the_storage_of_its_dying_input():
    tensors = tuple(Tensor(n, (10,), "int8") for n in "abc")
    ops = (Op("RELU", (0,), (1,)), Op("RELU", (1,), (2,)))
    calls = tuple((KernelCall("k", {}, op.inputs, op.outputs, in_place=(0,)),) for op in ops)
    program = Program(Graph(tensors, ops, (0,), (2,)), calls, {0: 0, 1: 1, 2: 2})
    assert [b.tensors for b in buffers(program, (0, 1))] == [(0, 1, 2)]


def test_an_input_that_is_read_later_is_not_overwritten():
    tensors = tuple(Tensor(n, (10,), "int8") for n in "abc")
    ops = (Op("RELU", (0,), (1,)), Op("ADD", (0, 1), (2,)))
    calls = tuple((KernelCall("k", {}, op.inputs, op.outputs, in_place=(0,)),) for op in ops)
    program = Program(Graph(tensors, ops, (0,), (2,)), calls, {0: 0, 1: 1, 2: 2})
    assert max(live_bytes(buffers(program, (0, 1)), 2)) == 24
