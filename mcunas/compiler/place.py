# SPDX-License-Identifier: Apache-2.0
"""Offsets in the arena: buffers that are live together keep their distance; the arena should equal the liveness bound.

The distance is the lower buffer's size, or less where a kernel may write its output over its dying input. First-fit
over several orders, then over seeded random moves of the best one until the bound is met. Deterministic.
"""
from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from mcunas.compiler.lifetime import aligned
from mcunas.compiler.schedule import Buffer

_TRIES, _TRIES_AT_BOUND = 3000, 200
_PAIRS = 3_000_000      # of buffers that clash, looked at in all tries: bounds the time of very large graphs


def place(found: Sequence[Buffer], bound_bytes: int,
          distances: Mapping[tuple[int, int], int] | None = None) -> tuple[int, list[int]]:
    """(arena bytes, offset per buffer). bound_bytes: no placement needs less.

    distances: (upper, lower) buffer indices -> least offset difference where less than the lower one's size will do.
    """
    if not found:
        return 0, []
    fit = FirstFit(found, distances or {})
    indices = range(len(found))
    keys = (lambda i: (-found[i].size_bytes, found[i].first, i),
            lambda i: (-(found[i].last - found[i].first), -found[i].size_bytes, i),
            lambda i: (-found[i].size_bytes * (found[i].last - found[i].first + 1), i),
            lambda i: (found[i].first, -found[i].size_bytes, i),
            lambda i: (-found[i].last, -found[i].size_bytes, i),
            lambda i: (bool(found[i].tensors), -found[i].size_bytes, found[i].first, i))

    def cost(result: tuple[int, list[int], list[int]]) -> tuple[int, bool]:
        """Bytes; then whether scratch lies last: kernels need not touch its end, and the mark on the target is short."""
        arena, offsets, _ = result
        return arena, any(not b.tensors and at + b.size_bytes == arena for b, at in zip(found, offsets, strict=True))

    best = min((fit(sorted(indices, key=key)) for key in keys), key=cost)
    rng = random.Random(0)
    tries = min(_TRIES, _PAIRS // (1 + sum(map(len, fit.clash))))
    for tried_before in range(tries):
        if aligned(best[0]) <= bound_bytes and (not cost(best)[1] or tried_before >= _TRIES_AT_BOUND):
            break
        order = list(best[2])
        for _ in range(rng.randint(1, 3)):
            order.insert(rng.randrange(len(order)), order.pop(rng.randrange(len(order))))
        tried = fit(order)
        if cost(tried) <= cost(best):
            best = tried
    return best[0], best[1]


def largest_first(found: Sequence[Buffer]) -> tuple[int, tuple[int, ...]]:
    """(arena bytes, offset per buffer) by one rule, without sharing: the largest buffer first, at the lowest gap."""
    arena_bytes, offsets, _ = FirstFit(found, {})(sorted(range(len(found)), key=lambda i: -found[i].size_bytes))
    return arena_bytes, tuple(offsets)


class FirstFit:
    """Places buffers in a given order, each at the lowest offset that keeps its distances."""

    def __init__(self, found: Sequence[Buffer], distances: Mapping[tuple[int, int], int]) -> None:
        self.found = found
        self.size = [aligned(b.size_bytes) for b in found]
        self.clash = [[(j, min(distances.get((j, i), self.size[i]), self.size[i]),       # j above i
                        min(distances.get((i, j), self.size[j]), self.size[j]))          # i above j
                       for j, b in enumerate(found) if j != i and b.first <= a.last and a.first <= b.last]
                      for i, a in enumerate(found)]

    def __call__(self, order: list[int]) -> tuple[int, list[int], list[int]]:
        offsets = [-1] * len(order)
        arena = 0
        for i in order:
            offsets[i] = self.lowest(i, offsets)
            arena = max(arena, offsets[i] + self.found[i].size_bytes)
        return arena, offsets, order

    def lowest(self, i: int, offsets: Sequence[int]) -> int:
        """Lowest offset >= 0 for buffer i beside those that have an offset; the others' is -1."""
        at = 0
        for low, high in sorted((offsets[j] - below, offsets[j] + above)
                                for j, below, above in self.clash[i] if offsets[j] >= 0):
            if low < at < high:
                at = high
            elif low >= at:
                break
        return at
