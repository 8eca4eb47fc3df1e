# SPDX-License-Identifier: Apache-2.0
"""Operator order of least peak memory: the graph in parts, each ordered exactly, or by beam search where it is too wide.

A state is the set of ops already run (a bit mask); what is live follows from it. Every order passes through the state
behind an op that all others come before or after, so the graph falls into parts there and the peak is the largest of
theirs. Inside a part, going to the state of least peak first, the first complete state is optimal (minimax path). An op
that leaves no more bytes live than before and stays within the peak reached so far is run at once: moved to the front of
any order it raises nothing. Where a part exceeds the search's limit, a beam of states goes through it level by level.
pruning-methods.md section 1.2 describes the same optimum computed backwards over live tensors.
"""
from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from mcunas.compiler.lifetime import Program, saving
from mcunas.compiler.lower import Overlap

_MAX_STATES = 20_000
_BEAM = 100


def best_order(program: Program) -> tuple[int, ...]:
    """Op indices in an order of least peak live bytes; of least known, where the graph has very wide parts."""
    return Search(program).best()


@dataclass(frozen=True)
class _State:
    """done: ops run, as a bit mask; live: storages; path: the ops in order."""

    peak: int
    done: int
    live: frozenset[int]
    live_bytes: int
    path: tuple[int, ...] = ()


class Search:
    """Live bytes of one Program under any order. max_states: of an exact search in one part."""

    def __init__(self, program: Program, max_states: int = _MAX_STATES) -> None:
        self.program, graph, self.max_states = program, program.graph, max_states
        producer = graph.producer()
        self.needs = [0] * len(graph.ops)
        self.readers: dict[int, int] = {}
        for i, op in enumerate(graph.ops):
            for t in op.inputs:
                if t in producer:
                    self.needs[i] |= 1 << producer[t]
            for root in program.reads(i):
                self.readers[root] = self.readers.get(root, 0) | 1 << i
        self.facts = [_Facts(program.writes(i), program.reads(i), program.scratch_bytes(i), program.overlaps(i))
                      for i in range(len(graph.ops))]

    def best(self) -> tuple[int, ...]:
        given = tuple(range(len(self.needs)))
        found = self.start
        for part in self.parts():
            goal = found.done | sum(1 << op for op in part)
            found = self.exact(found, part, goal) or self.heuristic(found, part, goal)
        return min((found.path, given), key=self.peak)

    @property
    def start(self) -> _State:
        live = self.program.sources
        return _State(0, 0, live, sum(self.program.size[r] for r in live))

    def parts(self) -> Iterator[tuple[int, ...]]:
        """Ops up to and with one that all others precede or follow; in the given order, which is a legal one."""
        count = len(self.needs)
        before, after = [0] * count, [0] * count
        for i in range(count):
            for j in _bits(self.needs[i]):
                before[i] |= before[j] | 1 << j
        for i in reversed(range(count)):
            for j in _bits(self.needs[i]):
                after[j] |= after[i] | 1 << i
        at: tuple[int, ...] = ()
        for i in range(count):
            at += (i,)
            if (before[i] | after[i]).bit_count() == count - 1:
                yield at
                at = ()
        if at:
            yield at

    def after(self, state: _State, op: int) -> _State:
        """The state after `op`; an output that may overwrite a dying input costs only what it sticks out."""
        size, facts, done = self.program.size, self.facts[op], state.done | 1 << op
        written = facts.writes - state.live
        ends = {r for r in facts.reads | written if r not in self.program.pinned and not self.readers.get(r, 0) & ~done}
        out_bytes = sum(size[r] for r in written)
        shared = max((saving(overlap, size[r], out_bytes) for r, overlap in facts.overlaps.items()
                      if written and r in ends and r not in written), default=0)
        peak = state.live_bytes + out_bytes + facts.scratch_bytes - shared
        return _State(max(state.peak, peak), done, (state.live | written) - ends,
                      state.live_bytes + out_bytes - sum(size[r] for r in ends & (state.live | written)), (*state.path, op))

    def next(self, state: _State, part: tuple[int, ...]) -> list[_State]:
        """States one op further: only one of them where an op is free."""
        found = []
        for op in part:
            if not state.done >> op & 1 and not self.needs[op] & ~state.done:
                after = self.after(state, op)
                if after.peak == state.peak and after.live_bytes <= state.live_bytes:
                    return [after]
                found.append(after)
        return found

    def exact(self, start: _State, part: tuple[int, ...], goal: int) -> _State | None:
        """The optimum, or None where the search grows too large. Ties: deeper states first, then the given order."""
        queue = [(start.peak, 0, start.done, start)]
        best = {start.done: start.peak}
        while queue:
            peak, _, done, state = heapq.heappop(queue)
            if done == goal:
                return state
            if peak > best[done]:
                continue
            if len(best) > self.max_states:
                return None
            for after in self.next(state, part):
                if after.peak < best.get(after.done, after.peak + 1):
                    best[after.done] = after.peak
                    heapq.heappush(queue, (after.peak, -len(after.path), after.done, after))
        return None

    def heuristic(self, start: _State, part: tuple[int, ...], goal: int) -> _State:
        """The best of beam search, of always running the op that leaves the fewest bytes live, and of the given order."""
        beam, greedy, given = [start], start, start
        while beam[0].done != goal:
            level: dict[int, _State] = {}
            for state in beam:
                for after in self.next(state, part):
                    if after.peak < level.get(after.done, after).peak or after.done not in level:
                        level[after.done] = after
            beam = heapq.nsmallest(_BEAM, level.values(), key=lambda s: (s.peak, s.live_bytes, s.done))
            greedy = min(self.next(greedy, part), key=lambda s: (s.live_bytes, s.peak))
        for op in part:
            given = self.after(given, op)
        return min((beam[0], greedy, given), key=lambda s: s.peak)

    def peak(self, order: tuple[int, ...]) -> int:
        """Most bytes live at any op of `order`."""
        state = self.start
        for op in order:
            state = self.after(state, op)
        return state.peak


@dataclass(frozen=True)
class _Facts:
    """Of one op: storages that it brings to life and reads, scratch, and how its output may lie over an input."""

    writes: set[int]
    reads: set[int]
    scratch_bytes: int
    overlaps: dict[int, Overlap]


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
