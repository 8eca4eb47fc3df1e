# SPDX-License-Identifier: Apache-2.0
"""Operator order of least peak memory: exact best-first search over sets of executed ops.

A state is the set of ops already run (a bit mask); what is live follows from it. Going to the state of least peak
first, the first complete state is optimal (minimax path). Chains have one state per op; where a graph is so wide that
the search exceeds its limit, the better of the given order and a greedy order is taken. pruning-methods.md section 1.2
describes the same optimum computed backwards over live tensors.
"""
from __future__ import annotations

import heapq

from mcunas.compiler.lifetime import Program, saving

_MAX_STATES = 60_000


def best_order(program: Program) -> tuple[int, ...]:
    """Op indices in an order of least peak live bytes (ties: the given order)."""
    search = Search(program)
    given = tuple(range(len(program.graph.ops)))
    if not given:
        return given
    found = search.exact(limit_bytes=search.peak(given))
    if found is not None:
        return found
    return min((given, search.greedy()), key=search.peak)


class Search:
    """Live bytes of one Program under any order."""

    def __init__(self, program: Program) -> None:
        self.program, graph = program, program.graph
        producer = graph.producer()
        self.needs = [0] * len(graph.ops)
        self.readers: dict[int, int] = {}
        for i, op in enumerate(graph.ops):
            for t in op.inputs:
                if t in producer:
                    self.needs[i] |= 1 << producer[t]
            for root in program.reads(i):
                self.readers[root] = self.readers.get(root, 0) | 1 << i

    def live_after(self, live: frozenset[int], done: int, op: int) -> frozenset[int]:
        """Storages still needed once `op` has run; `done` includes `op`."""
        return frozenset(r for r in live | self.program.writes(op)
                         if r in self.program.pinned or self.readers.get(r, 0) & ~done)

    def step_bytes(self, live: frozenset[int], done: int, op: int) -> int:
        """Bytes live while `op` runs; an output that may overwrite a dying input costs only what it sticks out."""
        program, size = self.program, self.program.size
        written = program.writes(op) - live
        total = sum(size[r] for r in live | written) + program.scratch_bytes(op)
        after, shared = done | 1 << op, 0
        for root, overlap in program.overlaps(op).items():
            if written and root not in program.pinned and not self.readers.get(root, 0) & ~after:
                shared = max(shared, saving(overlap, size[root], sum(size[r] for r in written)))
        return total - shared

    def exact(self, limit_bytes: int) -> tuple[int, ...] | None:
        """The optimum, or None where the search grows too large. limit_bytes: the peak of a known order."""
        count = len(self.needs)
        full = (1 << count) - 1
        queue: list[tuple[int, int, int, frozenset[int]]] = [(0, 0, 0, self.program.sources)]
        best = {0: 0}
        came: dict[int, tuple[int, int]] = {}
        while queue:
            peak, _, done, live = heapq.heappop(queue)
            if done == full:
                return self._path(came, full)
            if peak > best[done]:
                continue
            if len(best) > _MAX_STATES:
                return None
            for op in range(count):
                if done >> op & 1 or self.needs[op] & ~done:
                    continue
                after = done | 1 << op
                cost = max(peak, self.step_bytes(live, done, op))
                if cost <= limit_bytes and cost < best.get(after, limit_bytes + 1):
                    best[after], came[after] = cost, (done, op)
                    # ties: deeper states first, then the given order
                    heapq.heappush(queue, (cost, -after.bit_count(), after, self.live_after(live, after, op)))
        return None

    @staticmethod
    def _path(came: dict[int, tuple[int, int]], state: int) -> tuple[int, ...]:
        path = []
        while state:
            state, op = came[state]
            path.append(op)
        return tuple(reversed(path))

    def peak(self, order: tuple[int, ...]) -> int:
        """Most bytes live at any op of `order`."""
        live, done, peak = self.program.sources, 0, 0
        for op in order:
            peak = max(peak, self.step_bytes(live, done, op))
            done |= 1 << op
            live = self.live_after(live, done, op)
        return peak

    def greedy(self) -> tuple[int, ...]:
        """Always run the ready op that leaves the fewest bytes live."""
        live, done, order = self.program.sources, 0, []
        while len(order) < len(self.needs):
            ready = [i for i in range(len(self.needs)) if not done >> i & 1 and not self.needs[i] & ~done]
            op = min(ready, key=lambda i: (sum(self.program.size[r] for r in self.live_after(live, done | 1 << i, i)),
                                           self.step_bytes(live, done, i), i))
            order.append(op)
            done |= 1 << op
            live = self.live_after(live, done, op)
        return tuple(order)
