# SPDX-License-Identifier: Apache-2.0
"""Offsets in the arena: buffers that are live together must not overlap; the arena should equal the liveness bound.

First-fit over several orders, then over seeded random swaps of the best one until the bound is met. Deterministic.
"""
from __future__ import annotations

import random

from mcunas.compiler.lifetime import Buffer, aligned

_TRIES = 3000


def place(found: list[Buffer], bound_bytes: int) -> tuple[int, list[int]]:
    """(arena bytes, offset per buffer). bound_bytes: the most aligned bytes live at any step."""
    if not found:
        return 0, []
    clash = [[j for j, b in enumerate(found) if b.first <= a.last and a.first <= b.last] for a in found]
    indices = range(len(found))
    keys = (lambda i: (-found[i].size_bytes, found[i].first, i),
            lambda i: (-(found[i].last - found[i].first), -found[i].size_bytes, i),
            lambda i: (-found[i].size_bytes * (found[i].last - found[i].first + 1), i),
            lambda i: (found[i].first, -found[i].size_bytes, i))
    best_arena, best_offsets, best_order = None, [], []
    for key in keys:
        order = sorted(indices, key=key)
        arena, offsets = _first_fit(found, clash, order)
        if best_arena is None or arena < best_arena:
            best_arena, best_offsets, best_order = arena, offsets, order
    rng = random.Random(0)
    for _ in range(_TRIES):
        if aligned(best_arena) <= bound_bytes:
            break
        order = list(best_order)
        for _ in range(rng.randint(1, 3)):
            i, j = rng.randrange(len(order)), rng.randrange(len(order))
            order.insert(j, order.pop(i))
        arena, offsets = _first_fit(found, clash, order)
        if arena <= best_arena:
            best_arena, best_offsets, best_order = arena, offsets, order
    return best_arena, best_offsets


def _first_fit(found: list[Buffer], clash: list[list[int]], order: list[int]) -> tuple[int, list[int]]:
    offsets = [-1] * len(found)
    arena = 0
    for i in order:
        taken = sorted((offsets[j], offsets[j] + aligned(found[j].size_bytes)) for j in clash[i] if offsets[j] >= 0)
        at = 0
        for low, high in taken:
            if low - at >= found[i].size_bytes:
                break
            at = max(at, high)
        offsets[i] = at
        arena = max(arena, at + found[i].size_bytes)
    return arena, offsets
