# SPDX-License-Identifier: Apache-2.0
"""The planner against brute force, and its offsets against the definition of a legal plan."""
from __future__ import annotations

import itertools
import random

import pytest

from mcunas.compiler.lifetime import Program, aligned
from mcunas.compiler.lower import KernelCall, Overlap
from mcunas.compiler.order import Search, best_order
from mcunas.compiler.place import place
from mcunas.compiler.schedule import Schedule, preferred
from mcunas.graph import Graph, Op, Tensor


def random_program(seed: int, ops: int, in_place: bool = True, least: int = 2, reach: int = 1000) -> Program:
    """A random DAG of up to `ops` two-input operations with random sizes, scratch and in-place permissions.

    reach: how many of the latest tensors an operation may read.
    """
    rng = random.Random(seed)
    tensors = [Tensor("in", (rng.randint(1, 60),), "int8")]
    nodes, calls = [], []
    for i in range(rng.randint(least, ops)):
        known = range(len(tensors))[-reach:]
        inputs = tuple(rng.sample(known, min(len(known), rng.randint(1, 2))))
        size = tensors[inputs[0]].shape[0] if rng.random() < 0.4 else rng.randint(1, 60)
        tensors.append(Tensor(f"t{i}", (size,), "int8"))
        out = len(tensors) - 1
        nodes.append(Op("ADD", inputs, (out,)))
        overlap = tuple(Overlap(rng.choice((None, 0, 5)), rng.choice((None, 0, 9))) for _ in inputs
                        ) if in_place and rng.random() < 0.5 else ()
        calls.append((KernelCall("k", {}, inputs, (out,), rng.choice((0, 0, 12)), overlap=overlap),))
    read = {t for op in nodes for t in op.inputs}
    outputs = tuple(op.outputs[0] for op in nodes if op.outputs[0] not in read)
    graph = Graph(tuple(tensors), tuple(nodes), (0,), outputs)
    return Program(graph, tuple(calls), {t: t for t in graph.activations()})


def peak(program: Program, order: tuple[int, ...]) -> int:
    """Most bytes live at any op, counted from the definition (no overlaps)."""
    graph, most = program.graph, 0
    for step, op in enumerate(order):
        needed = {t for later in order[step:] for t in graph.ops[later].inputs} | set(graph.outputs)
        written = {t for earlier in order[:step] for t in graph.ops[earlier].outputs} | set(graph.inputs)
        live = needed & written | set(graph.ops[op].outputs)
        most = max(most, sum(program.size[t] for t in live) + program.scratch_bytes(op))
    return most


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
        given = tuple(range(len(program.graph.ops)))
        assert Search(program).peak(best_order(program)) <= Search(program).peak(given), seed


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


def schedule(program: Program) -> Schedule:
    return preferred(program, "ram")[0]


def test_offsets_keep_their_distances_reach_the_bound_mostly_and_beat_tflms_rule():
    at_bound = 0
    for seed in range(300):
        plan = schedule(random_program(seed, ops=9))
        found, near = plan.buffers, plan.distances()
        arena, offsets = place(found, plan.bound_bytes, near)
        for i, j in itertools.combinations(range(len(found)), 2):
            a, b = found[i], found[j]
            up = offsets[i] - offsets[j] >= min(near.get((i, j), 999), b.size_bytes)
            down = offsets[j] - offsets[i] >= min(near.get((j, i), 999), a.size_bytes)
            assert up or down or a.last < b.first or b.last < a.first, f"seed {seed}: {a.name} hits {b.name}"
        assert all(at % 4 == 0 and at + b.size_bytes <= arena for b, at in zip(found, offsets))
        assert arena <= tflm_greedy_arena(found), f"seed {seed}"
        at_bound += aligned(arena) <= plan.bound_bytes
    assert at_bound >= 285


def chain(*overlaps: Overlap, again: bool = False) -> Program:
    """in -> op -> op ...; `again`: the last op also reads the graph input."""
    count = len(overlaps)
    tensors = tuple(Tensor(f"t{i}", (40,), "int8") for i in range(count + 1))
    ops = [Op("RELU", (i,), (i + 1,)) for i in range(count)]
    if again:
        ops[-1] = Op("ADD", (count - 1, 0), (count,))
    calls = tuple((KernelCall("k", {}, op.inputs, op.outputs, overlap=(o,)),) for op, o in zip(ops, overlaps))
    return Program(Graph(tensors, tuple(ops), (0,), (count,)), calls, {t: t for t in range(count + 1)})


def arena(program: Program) -> int:
    plan = schedule(program)
    return place(plan.buffers, plan.bound_bytes, plan.distances())[0]


def test_inputs_under_one_output_agree_on_the_direction():
    together = 0
    for seed in range(300):
        program = random_program(seed, ops=9)
        plan = schedule(program)
        _, offsets = place(plan.buffers, plan.bound_bytes, plan.distances())
        at = {b.tensors[0]: offset for b, offset in zip(plan.buffers, offsets) if b.tensors}
        for step in plan.steps:
            out = program.graph.ops[step.ops[-1]].outputs[0]
            under = [(o, at[r] - at[out]) for r, o in step.overlaps.items()
                     if at[out] < at[r] + program.graph.tensors[r].shape[0] and at[r] < at[out] + program.size[out]]
            up = all(o.input_above is not None and distance >= o.input_above for o, distance in under)
            down = all(o.output_above is not None and -distance >= o.output_above for o, distance in under)
            assert up or down, f"seed {seed}, op {step.ops}"
            together += len(under) > 1
    assert together >= 3


def test_an_output_may_take_the_storage_of_its_dying_input():
    assert arena(chain(Overlap(0), Overlap(0))) == 40
    assert arena(chain(Overlap(), Overlap())) == 80


def test_shifted_overlaps_do_not_add_up_when_ops_can_run_in_both_directions():
    assert arena(chain(*[Overlap(8, 8)] * 6)) == 48
    assert arena(chain(*[Overlap(8)] * 3)) == 64


def test_an_input_that_is_read_later_is_not_overwritten():
    assert arena(chain(Overlap(0), Overlap(0), again=True)) == 80
