# SPDX-License-Identifier: Apache-2.0
"""The schedule: operator order cut into steps (single ops and streams), live bytes at each, buffers and their distances.

Which ops to stream together is a shortest-path problem over the order: a step is a segment of it, its cost the bytes
live while it runs and the work that running by rows wastes (effort.py). Dynamic programming gives the whole front of
cuts that no other beats in both peak and waste; the goal picks one.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from mcunas.compiler import effort
from mcunas.compiler.joining import joinable, joined
from mcunas.compiler.lifetime import Program, aligned, one_way, saving
from mcunas.compiler.lower import Overlap
from mcunas.compiler.order import best_order
from mcunas.compiler.stream import Stream, stream
from mcunas.graph.ir import Graph

BALANCED_WASTE = 0.03    # share of the network's work that `balanced` gives for RAM; effort.py is rough, 5 % is promised
LONGEST_STREAM = 12     # ops
TICK_ROWS = (1, 2, 4)


@dataclass(frozen=True)
class Buffer:
    """Storage in the arena. tensors: those that live in it; () for scratch. first, last: steps, inclusive."""

    name: str
    tensors: tuple[int, ...]
    size_bytes: int
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Step:
    """Ops that run as one. dying: storages read here for the last time; overlaps: which of them the output may share."""

    ops: tuple[int, ...]
    stream: Stream | None
    dying: frozenset[int]
    overlaps: dict[int, Overlap]
    live_bytes: int


@dataclass(frozen=True, eq=False)
class Schedule:
    """steps with their live bytes; a lower bound of any placement is the largest of them."""

    program: Program
    steps: tuple[Step, ...]

    @staticmethod
    def of(graph: Graph, isa: str = "scalar", goal: str = "balanced", limit_bytes: int | None = None,
           choice: Mapping[int, str] = MappingProxyType({})) -> Schedule:
        """The schedule that `goal` likes best of those within limit_bytes, or the one of least peak.

        choice: op index -> variant of its kernels.
        """
        return preferred(Program.of(graph, isa, choice), goal, limit_bytes)[0]

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Op indices as executed (inside a stream: stage order)."""
        return tuple(op for step in self.steps for op in step.ops)

    @property
    def bound_bytes(self) -> int:
        return max((s.live_bytes for s in self.steps), default=0)

    @property
    def live_bytes_per_step(self) -> tuple[int, ...]:
        return tuple(s.live_bytes for s in self.steps)

    @cached_property
    def step_of(self) -> dict[int, int]:
        """op index -> step."""
        return {op: s for s, step in enumerate(self.steps) for op in step.ops}

    @cached_property
    def buffers(self) -> tuple[Buffer, ...]:
        """Full tensors by storage, rings and scratch of each step."""
        program, graph = self.program, self.program.graph
        rings = {t for step in self.steps if step.stream for t in step.stream.rings}
        first = {root: 0 for root in program.sources}
        last = dict(first)
        for s, step in enumerate(self.steps):
            for op in step.ops:
                for root in program.writes(op) - rings:
                    first[root], last[root] = min(s, first.get(root, s)), max(s, last.get(root, s))
                for root in program.reads(op) - rings:
                    last[root] = s
        last.update((root, max(len(self.steps) - 1, 0)) for root in program.pinned)
        members: dict[int, list[int]] = {}
        for t, root in program.storage.items():
            members.setdefault(root, []).append(t)
        found = [Buffer(graph.tensors[r].name, tuple(sorted(members[r])), graph.tensors[r].size_bytes, first[r], last[r])
                 for r in first]
        for s, step in enumerate(self.steps):
            for t, size in (step.stream.ring_bytes(program) if step.stream else {}).items():
                found.append(Buffer(f"rows of {graph.tensors[t].name}", (t,), size, s, s))
            scratch = max(program.scratch_bytes(op) for op in step.ops)
            if scratch:
                found.append(Buffer(f"scratch of op {step.ops[0]} {graph.ops[step.ops[0]].kind}", (), scratch, s, s))
        return tuple(found)

    def distances(self) -> dict[tuple[int, int], int]:
        """(upper buffer, lower buffer) -> least offset difference, where less than the lower one's size will do."""
        home = {t: i for i, b in enumerate(self.buffers) for t in b.tensors}
        found: dict[tuple[int, int], int] = {}
        for step in self.steps:
            for root, overlap in step.overlaps.items():
                source, out = home[root], home[self.program.graph.ops[step.ops[-1]].outputs[0]]
                if overlap.input_above is not None:
                    found[source, out] = aligned(max(0, overlap.input_above))
                if overlap.output_above is not None:
                    found[out, source] = aligned(max(0, overlap.output_above))
        return found


def preferred(program: Program, goal: str = "balanced", limit_bytes: int | None = None,
              order: tuple[int, ...] | None = None) -> list[Schedule]:
    """The schedules that `goal` wants, best first. Concatenations and slices copy nothing (joining.py) where that can be
    and the first schedule's peak does not rise by it: all of them, or else one after the other as they come."""
    best, can = _preferred(program, goal, limit_bytes, order), joinable(program)
    peak = best[0].bound_bytes
    kept: tuple[int, ...] = ()
    for more in [can, *([index] for index in can)] if len(can) > 1 else [can] * len(can):
        other = joined(program, (*kept, *more)) if kept != can else None
        found = other and _preferred(other, goal, limit_bytes, order)
        if found and found[0].bound_bytes <= peak:
            best, kept = found, (*kept, *more)
    return best


def _preferred(program: Program, goal: str, limit_bytes: int | None, order: tuple[int, ...] | None) -> list[Schedule]:
    """Schedules of the front: first the one that `goal` wants, then those with ever smaller peaks, to fall back on
    should its placement take more than limit_bytes.

    ram: least peak. cycles, flash: least waste. balanced: least peak that wastes at most BALANCED_WASTE. Where nothing
    stays within limit_bytes, the schedule of least peak is the only one. order: of the ops, by default the best.
    """
    front = Cutter(program, order or best_order(program)).front()
    fitting = [cut for cut in front if limit_bytes is None or cut.peak_bytes <= limit_bytes] or front[:1]
    chosen = {"ram": 0}.get(goal, len(fitting) - 1)
    if goal == "balanced":
        calls = [(call, program.graph.tensors[call.outputs[0]].size_bytes // call.images)
                 for calls in program.calls for call in calls]
        allowed = BALANCED_WASTE * sum(effort.whole(call, size) for call, size in calls)
        chosen = next((k for k, cut in enumerate(fitting) if cut.waste <= allowed), chosen)
    return [Schedule(program, cut.steps()) for cut in reversed(fitting[:chosen + 1])]


def op_by_op(program: Program, order: tuple[int, ...]) -> Schedule:
    """No streams."""
    cutter = Cutter(program, order)
    steps = (cutter.segment(i, i + 1) for i in range(len(order)))
    return Schedule(program, tuple(step for step in steps if step))


@dataclass(frozen=True, eq=False)
class _Cut:
    """The steps up to some point of the order: the last one and what came before it."""

    peak_bytes: int
    waste: int
    before: _Cut | None = None
    step: Step | None = None

    def then(self, step: Step) -> _Cut:
        waste = step.stream.extra_work if step.stream else 0
        return _Cut(max(self.peak_bytes, step.live_bytes), self.waste + waste, self, step)

    def steps(self) -> tuple[Step, ...]:
        steps, cut = [], self
        while cut.step and cut.before:
            steps.append(cut.step)
            cut = cut.before
        return tuple(reversed(steps))


def _unbeaten(cuts: list[_Cut]) -> list[_Cut]:
    """Peaks rising, waste falling."""
    front: list[_Cut] = []
    for cut in sorted(cuts, key=lambda cut: (cut.peak_bytes, cut.waste)):
        if not front or cut.waste < front[-1].waste:
            front.append(cut)
    return front


class Cutter:
    """Segments of one order as steps, and the best ways to cut the order into them."""

    def __init__(self, program: Program, order: tuple[int, ...]) -> None:
        self.program, self.order = program, order
        self.born = {root: -1 for root in program.sources}
        self.dies = dict.fromkeys(program.sources, 0)       # unused inputs, too, are there when the first op runs
        for position, op in enumerate(order):
            for root in program.writes(op):
                self.born.setdefault(root, position)
                self.dies.setdefault(root, position)
            for root in program.reads(op):
                self.dies[root] = max(self.dies.get(root, position), position)
        self.dies.update(dict.fromkeys(program.pinned, len(order)))

    def segment(self, i: int, j: int, tick_rows: int = 1) -> Step | None:
        """Positions i..j-1 of the order as one step, None where they cannot be one. tick_rows: of a stream."""
        program, ops = self.program, self.order[i:j]
        streamed = None
        if len(ops) > 1:
            inner = [program.graph.ops[op].outputs[0] for op in ops[:-1]]
            if any(self.dies[program.storage[t]] >= j or program.storage[t] != t for t in inner):
                return None
            streamed = stream(program, ops, tick_rows)
            if streamed is None:
                return None
        dying = frozenset(r for r, end in self.dies.items() if self.born[r] < i <= end < j)
        through = sum(program.size[r] for r, end in self.dies.items() if self.born[r] < i and end >= j)
        written = {r for r in program.writes(ops[-1]) if self.born[r] >= i}
        out_bytes = sum(program.size[r] for r in written)
        local = sum(program.size[r] for r in dying) + out_bytes + max(program.scratch_bytes(op) for op in ops)
        if streamed:
            local += sum(streamed.ring_bytes(program).values())
        possible = streamed.overlaps if streamed else program.overlaps(ops[0])
        overlaps = one_way({r: o for r, o in possible.items() if r in dying and written}, program.size, out_bytes)
        shared = max((saving(o, program.size[r], out_bytes) for r, o in overlaps.items()), default=0)
        return Step(ops, streamed, dying, overlaps, through + local - shared)

    def variants(self, i: int, j: int) -> list[Step]:
        """The step that segment i..j-1 can be, or its streams of few rows or more at once that are worth a thought."""
        found = [step for rows in TICK_ROWS[:1 if j == i + 1 else None] if (step := self.segment(i, j, rows))]
        return [step.step for step in _unbeaten([_Cut(0, 0).then(step) for step in found])]

    def front(self) -> list[_Cut]:
        """All ways to cut the order that no other beats in both peak and waste; peaks rising."""
        count = len(self.order)
        fronts = [[_Cut(0, 0)]]
        for j in range(1, count + 1):
            fronts.append(_unbeaten([cut.then(step) for i in range(max(0, j - LONGEST_STREAM), j)
                                     for step in self.variants(i, j) for cut in fronts[i]]))
        return fronts[count]
