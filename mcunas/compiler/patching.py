# SPDX-License-Identifier: Apache-2.0
"""Whether a piece of the network is better computed in strips (passes/patches.py), which piece, and how many strips.

Strips take the rings of a stream down to their own width; against that stand the piece's input and output, of which
one can then no longer overwrite all of the other, and work done twice. So they gain where rings dominate: large images
of few channels that a network widens at once. Looked at are the pieces around the peak that can be one stream, by an
estimate first; the most promising are planned in full.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from mcunas.compiler.lifetime import Program, aligned
from mcunas.compiler.lower import candidates
from mcunas.compiler.passes.patches import Strip, patched, strips
from mcunas.compiler.plan import Plan
from mcunas.compiler.schedule import LONGEST_STREAM, Cutter, Schedule, preferred
from mcunas.graph.ir import Graph

COUNTS = (2, 3, 4)
MOST_PLANNED = 8


@dataclass(frozen=True, eq=False)
class Patches:
    """segment: names of the tensors that the piece's ops write. count: strips. extra_macs: computed twice.

    schedules: of the rewritten Graph, as schedule.preferred gives them; variants: op index there -> of its kernels.
    before: the schedule of least peak without strips.
    """

    segment: tuple[str, ...]
    count: int
    extra_macs: int
    schedules: list[Schedule]
    variants: dict[int, str]
    before: Schedule

    def to_json(self) -> dict[str, object]:
        return {"segment": list(self.segment), "count": self.count, "extra_macs": self.extra_macs}


def best_patches(schedule: Schedule, variants: Mapping[int, str], isa: str, goal: str,
                 limit_bytes: int) -> Patches | None:
    """The strips of the smallest arena; None where none is smaller than that of `schedule`, the one of least peak.

    variants: op index of the schedule's Graph -> variant of its kernels.
    """
    graph, program, chosen = _in_order(schedule, variants)
    least, best = Plan.of(schedule).arena_bytes, None
    macs = _macs(program)
    for _, first, end, count in sorted(_promising(program, schedule, least))[:MOST_PLANNED]:
        after = patched(graph, first, end, count)
        if after is None:
            continue
        choice = {i: chosen[o] for i, o in enumerate(after.origin) if o in chosen}
        planned, choice = _lowered(after.graph, isa, choice)
        found = preferred(planned, goal, limit_bytes, tuple(range(len(after.origin))))
        arena_bytes = Plan.of(found[-1]).arena_bytes
        extra = _macs(planned) - macs
        if (arena_bytes, extra) < (least, best.extra_macs if best else 0):
            names = tuple(graph.tensors[op.outputs[0]].name for op in graph.ops[first:end])
            least, best = arena_bytes, Patches(names, count, extra, found, choice, schedule)
    return best


def _in_order(schedule: Schedule, variants: Mapping[int, str]) -> tuple[Graph, Program, dict[int, str]]:
    """Graph, kernel calls and variants with the ops numbered as they are executed."""
    given, order = schedule.program, schedule.order
    graph = given.graph.with_(ops=tuple(given.graph.ops[i] for i in order))
    program = replace(given, graph=graph, calls=tuple(given.calls[i] for i in order))
    return graph, program, {at: variants[i] for at, i in enumerate(order) if i in variants}


def _lowered(graph: Graph, isa: str, choice: dict[int, str]) -> tuple[Program, dict[int, str]]:
    """With the chosen variants, but where a strip's op has no such variant."""
    kept = {i: v for i, v in choice.items() if v in candidates(graph, graph.ops[i], isa)}
    return Program.of(graph, isa, kept), kept


def _promising(program: Program, schedule: Schedule, arena_bytes: int) -> Iterator[tuple[int, int, int, int]]:
    """(bytes that it may take, first op, end, strips) of the pieces around the peak that could beat arena_bytes."""
    graph, count = program.graph, len(program.graph.ops)
    cutter = Cutter(program, tuple(range(count)))
    peak = max(range(len(schedule.steps)), key=lambda s: schedule.steps[s].live_bytes)
    start = sum(len(step.ops) for step in schedule.steps[:peak])
    stop = start + len(schedule.steps[peak].ops)
    longest = LONGEST_STREAM - 2        # the strip's columns are cut out before and put in place behind
    for first in range(max(0, start - longest + 1), stop):
        for end in range(max(first + 2, start + 1), min(count, first + longest) + 1):
            step = cutter.segment(first, end)
            if step is None or step.stream is None:
                continue
            rings = step.stream.ring_bytes(program)
            output_bytes = graph.tensors[graph.ops[end - 1].outputs[0]].size_bytes
            for strip_count in COUNTS:
                found = strips(graph, first, end, strip_count)
                if found is None:
                    break
                least = step.live_bytes - sum(rings.values()) + max(_ring_bytes(graph, step.stream.rings, s) for s in found)
                if least < arena_bytes:
                    yield least + output_bytes, first, end, strip_count


def _ring_bytes(graph: Graph, rings: Mapping[int, int], strip: Strip) -> int:
    total = 0
    for t, rows in rings.items():
        low, high = strip.columns[t]
        total += aligned(rows * (high - low) * graph.tensors[t].shape[3])
    return total


def _macs(program: Program) -> int:
    return sum(call.macs for call in chain.from_iterable(program.calls))
