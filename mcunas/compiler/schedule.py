# SPDX-License-Identifier: Apache-2.0
"""The schedule: operator order cut into steps (single ops and streams), live bytes at each, buffers and their distances.

Which ops to stream together is a shortest-path problem over the order: a step is a segment of it, its cost the bytes
live while it runs. First the least possible peak is found (minimax), then, among the cuts that stay within the allowed
peak, the one with the fewest extra kernel calls.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from mcunas.compiler.lifetime import Program, aligned, one_way, saving
from mcunas.compiler.lower import Overlap
from mcunas.compiler.order import best_order
from mcunas.compiler.stream import Stream, stream
from mcunas.graph.ir import Graph

_LONGEST_STREAM = 12     # ops


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
    def of(graph: Graph, isa: str = "scalar", limit_bytes: int = 0,
           choice: Mapping[int, str] = MappingProxyType({})) -> Schedule:
        """limit_bytes: a peak that is small enough; streams are used only as far as it takes to get there.

        choice: op index -> variant of its kernels.
        """
        program = Program.of(graph, isa, choice)
        return _Cutter(program, best_order(program)).schedule(limit_bytes)

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
                    first[root], last[root] = s, max(s, last.get(root, s))
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


class _Cutter:
    """Costs of segments of one order, and the best cut into steps."""

    def __init__(self, program: Program, order: tuple[int, ...]) -> None:
        self.program, self.order = program, order
        self.born = {root: -1 for root in program.sources}
        self.dies = dict.fromkeys(program.sources, 0)       # unused inputs, too, are there when the first op runs
        for position, op in enumerate(order):
            for root in program.writes(op):
                self.born[root] = position
                self.dies.setdefault(root, position)
            for root in program.reads(op):
                self.dies[root] = max(self.dies.get(root, position), position)
        self.dies.update(dict.fromkeys(program.pinned, len(order)))

    def segment(self, i: int, j: int) -> Step | None:
        """Positions i..j-1 of the order as one step, None where they cannot be one."""
        program, ops = self.program, self.order[i:j]
        streamed = None
        if len(ops) > 1:
            inner = [program.graph.ops[op].outputs[0] for op in ops[:-1]]
            if any(self.dies[program.storage[t]] >= j or program.storage[t] != t for t in inner):
                return None
            streamed = stream(program, ops)
            if streamed is None:
                return None
        dying = frozenset(r for r, end in self.dies.items() if self.born[r] < i <= end < j)
        through = sum(program.size[r] for r, end in self.dies.items() if self.born[r] < i and end >= j)
        written = program.writes(ops[-1])
        out_bytes = sum(program.size[r] for r in written)
        local = sum(program.size[r] for r in dying) + out_bytes + max(program.scratch_bytes(op) for op in ops)
        if streamed:
            local += sum(streamed.ring_bytes(program).values())
        possible = streamed.overlaps if streamed else program.overlaps(ops[0])
        overlaps = one_way({r: o for r, o in possible.items() if r in dying}, program.size, out_bytes)
        shared = max((saving(o, program.size[r], out_bytes) for r, o in overlaps.items()), default=0)
        return Step(ops, streamed, dying, overlaps, through + local - shared)

    def schedule(self, limit_bytes: int) -> Schedule:
        count = len(self.order)
        steps = {(i, j): step for i in range(count) for j in range(i + 1, min(count, i + _LONGEST_STREAM) + 1)
                 if (step := self.segment(i, j)) is not None}
        peak = [0] + [1 << 62] * count
        for (i, j), step in sorted(steps.items(), key=lambda item: item[0]):
            peak[j] = min(peak[j], max(peak[i], step.live_bytes))
        allowed = max(limit_bytes, peak[count])
        best: list[tuple[int, int]] = [(0, 0)] + [(1 << 62, 0)] * count     # (extra calls, previous cut)
        for (i, j), step in sorted(steps.items(), key=lambda item: item[0]):
            if step.live_bytes <= allowed and best[i][0] < 1 << 62:
                extra = best[i][0] + (step.stream.calls if step.stream else 0)
                best[j] = min(best[j], (extra, i))
        cuts, at = [], count
        while at:
            cuts.append((best[at][1], at))
            at = best[at][1]
        return Schedule(self.program, tuple(steps[cut] for cut in reversed(cuts)))
