# SPDX-License-Identifier: Apache-2.0
"""The arena of many genotypes with one cut: the placements that compiler/place.py tries first, on arrays.

Where one of them meets the liveness bound, the compiler's placement needs exactly as much. Elsewhere the compiler goes on
searching; what is found here is then an arena that suffices, and marked as not exact.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

_FAR = np.int64(1) << 60


def arenas(sizes: np.ndarray, spans: Sequence[tuple[int, int]], is_scratch: Sequence[bool], bound_bytes: np.ndarray,
           distances: Mapping[tuple[int, int], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(bytes (M,), whether it is what the compiler needs (M,)). sizes (M, B): raw bytes; spans: first and last step.

    distances: (upper, lower) buffer -> least offset difference where the upper may start within the lower (M,).
    """
    fit = _FirstFit(sizes, spans, distances)
    best = np.full(len(sizes), _FAR)                        # 2 x arena + (scratch lies last)
    whole_words = (sizes % 4 == 0).all(axis=1)
    todo = np.arange(len(sizes))
    for key in _keys(sizes, spans, is_scratch):
        arena, scratch_last = fit(np.argsort(key[todo], axis=1, kind="stable"), todo, np.array(is_scratch))
        best[todo] = np.minimum(best[todo], 2 * arena + scratch_last)
        done = whole_words[todo] & (best[todo] == 2 * bound_bytes[todo])        # nothing can be better
        todo = todo[~done]
        if not len(todo):
            break
    arena = best // 2
    return arena, (-(-arena // 4) * 4 <= bound_bytes) & (best % 2 == 0)


def _keys(sizes: np.ndarray, spans: Sequence[tuple[int, int]], is_scratch: Sequence[bool]) -> list[np.ndarray]:
    """Sort keys (M, B) of the compiler's orders of placing; ties go by index."""
    first, last = (np.array(v, np.int64) for v in zip(*spans))
    step, size = np.int64(1) << 12, np.int64(1) << 26
    return [-sizes * step + first, -(last - first) * size - sizes, -sizes * (last - first + 1), first * size - sizes,
            -last * size - sizes, (1 - np.array(is_scratch, np.int64)) * size * step - sizes * step + first]


class _FirstFit:
    """Places buffers one after the other, each at the lowest offset that keeps its distances."""

    def __init__(self, sizes: np.ndarray, spans: Sequence[tuple[int, int]],
                 distances: Mapping[tuple[int, int], np.ndarray]) -> None:
        count = len(spans)
        self.raw, size = sizes, -(-sizes // 4) * 4
        self.clash = np.array([[a != b and spans[b][0] <= spans[a][1] and spans[a][0] <= spans[b][1]
                                for b in range(count)] for a in range(count)])
        self.above = np.repeat(size[:, None, :], count, axis=1)     # [m, i, j]: i lies at least so far above j
        for (upper, lower), distance in distances.items():
            self.above[:, upper, lower] = np.minimum(distance, size[:, lower])

    def __call__(self, order: np.ndarray, todo: np.ndarray, is_scratch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(arena (T,), whether scratch lies last (T,)) of the genotypes `todo` (T,). order (T, B): buffer indices."""
        rows = np.arange(len(todo))
        offset, placed = np.zeros(order.shape, np.int64), np.zeros(order.shape, bool)
        for k in range(order.shape[1]):
            i = order[:, k]
            near = self.clash[i] & placed
            low = np.where(near, offset - self.above[todo, :, i], _FAR)
            high = offset + self.above[todo, i, :]
            by_low = np.argsort(low, axis=1)[:, :k]
            low, high = np.take_along_axis(low, by_low, 1), np.take_along_axis(high, by_low, 1)
            at, going = np.zeros(len(todo), np.int64), np.ones(len(todo), bool)
            for column in range(int(near.sum(axis=1).max(initial=0))):
                going &= low[:, column] < at
                at = np.where(going & (at < high[:, column]), high[:, column], at)
            offset[rows, i] = at
            placed[rows, i] = True
        ends = offset + self.raw[todo]
        arena = ends.max(axis=1)
        return arena, ((ends == arena[:, None]) & is_scratch).any(axis=1)
