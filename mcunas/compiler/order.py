# SPDX-License-Identifier: Apache-2.0
"""Operator order of least peak memory: exact best-first search over sets of executed ops.

A state is the set of ops already run (a bit mask); what is live follows from it. Going to the state of least peak
first, the first complete state is optimal (minimax path). Chains have one state per op; where a graph is so wide that
the search exceeds its limit, the best of the given order and a greedy order is taken. pruning-methods.md section 1.2
describes the same optimum computed backwards over live tensors.
"""
from __future__ import annotations

import heapq

from mcunas.compiler.lifetime import Program, aligned

_MAX_STATES = 60_000


def best_order(program: Program) -> tuple[int, ...]:
    """Op indices in an order of least peak live bytes (ties: the given order)."""
    search = _Search(program)
    given = tuple(range(len(program.graph.ops)))
    if not given:
        return given
    found = search.exact(limit_bytes=search.peak(given))
    if found is not None:
        return found
    return min((given, search.greedy()), key=search.peak)


class _Search:
    def __init__(self, program: Program) -> None:
        self.program = program
        graph = program.graph
        count = len(graph.ops)
        producer = {root: i for i in range(count) for root in program.writes(i) if program.calls[i]}
        aliases = [i for i in range(count) if not program.calls[i]]
        self.needs = [0] * count
        for i in range(count):
            for t in graph.ops[i].inputs:
                if t in program.storage:
                    op = producer.get(program.storage[t])
                    if op is not None and op != i:
                        self.needs[i] |= 1 << op
        owner = graph.producer()
        for i in aliases:                                   # a renaming must still run before its readers
            for j in range(count):
                if graph.ops[i].outputs[0] in graph.ops[j].inputs:
                    self.needs[j] |= 1 << i
            if graph.ops[i].inputs[0] in owner:
                self.needs[i] |= 1 << owner[graph.ops[i].inputs[0]]
        self.readers: dict[int, int] = {}
        for i in range(count):
            for root in program.reads(i):
                self.readers[root] = self.readers.get(root, 0) | 1 << i
        self.pinned = {program.storage[t] for t in graph.outputs}
        self.size = {root: aligned(program.storage_bytes(root)) for root in set(program.storage.values())}
        self.sources = {program.storage[t] for t in graph.inputs}

    def live_after(self, live: frozenset[int], done: int, op: int) -> frozenset[int]:
        """Storages still needed once `op` has run; `done` includes `op`."""
        return frozenset(r for r in live | self.program.writes(op)
                         if r in self.pinned or self.readers.get(r, 0) & ~done)

    def step_bytes(self, live: frozenset[int], done: int, op: int) -> int:
        """Bytes live while `op` runs; an output that overwrites a dying input costs nothing extra."""
        written = self.program.writes(op) - live
        total = sum(self.size[r] for r in live | written) + aligned(self.program.scratch_bytes(op))
        after = done | 1 << op
        for root in self.program.overwritable(op):
            if written and root not in self.pinned and not self.readers.get(root, 0) & ~after:
                return total - sum(self.size[r] for r in written)
        return total

    def exact(self, limit_bytes: int) -> tuple[int, ...] | None:
        count = len(self.needs)
        full = (1 << count) - 1
        queue: list[tuple[int, int, int, frozenset[int]]] = [(0, 0, 0, frozenset(self.sources))]
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
        live, done, peak = frozenset(self.sources), 0, 0
        for op in order:
            peak = max(peak, self.step_bytes(live, done, op))
            done |= 1 << op
            live = self.live_after(live, done, op)
        return peak

    def greedy(self) -> tuple[int, ...]:
        """Always run the ready op that leaves the fewest bytes live."""
        live, done, order = frozenset(self.sources), 0, []
        while len(order) < len(self.needs):
            ready = [i for i in range(len(self.needs)) if not done >> i & 1 and not self.needs[i] & ~done]
            op = min(ready, key=lambda i: (sum(self.size[r] for r in self.live_after(live, done | 1 << i, i)),
                                           self.step_bytes(live, done, i), i))
            order.append(op)
            done |= 1 << op
            live = self.live_after(live, done, op)
        return tuple(order)
