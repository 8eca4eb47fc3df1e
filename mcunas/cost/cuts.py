# SPDX-License-Identifier: Apache-2.0
"""Which cut of the order into steps the compiler takes, for many genotypes at once (goal: balanced).

The compiler takes the least peak whose waste stays within a share of the work. For a given peak the least waste is a
shortest path over the segments that fit under it, so the peak is found by bisection, all genotypes in step.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcunas.compiler.schedule import BALANCED_WASTE
from mcunas.cost.segments import Segment

_FAR = np.int64(1) << 60


def best_cuts(segments: Sequence[Segment], count: int, effort: np.ndarray,
              limit_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    """(peak bytes (M,), index of the segment that ends at each position, -1 where none (M, count + 1)).

    segments: in the order of their ends. count: ops. effort (M,): of the whole network. Beyond limit_bytes waste does not
    count: what it takes to stay within, or else to need the least.
    """
    within = _least_waste(segments, count, np.full(len(effort), limit_bytes))[0]
    allowed = np.where(within <= BALANCED_WASTE * effort, BALANCED_WASTE * effort, np.minimum(within, _FAR - 1))
    low = np.zeros(len(effort), np.int64)                   # too small
    high = np.max([s.live_bytes for s in segments], axis=0)
    while (high - low > 1).any():
        middle = (low + high) // 2
        enough = _least_waste(segments, count, middle)[0] <= allowed
        high, low = np.where(enough, middle, high), np.where(enough, low, middle)
    waste, came = _least_waste(segments, count, high, remember=True)
    used = np.full((len(effort), count + 1), -1)
    at, rows = np.full(len(effort), count), np.arange(len(effort))
    start = np.array([s.first for s in segments])
    while (at > 0).any():
        going = at > 0
        chosen = came[at, rows]
        used[rows[going], at[going]] = chosen[going]
        at = np.where(going, start[chosen], 0)
    return high, used


def _least_waste(segments: Sequence[Segment], count: int, cap: np.ndarray,
                 remember: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """(waste of the best path whose segments all stay within cap (M,), segment that ends at each position)."""
    waste = np.full((count + 1, len(cap)), _FAR)
    waste[0] = 0
    came = np.zeros((count + 1 if remember else 0, len(cap)), np.int64)
    for index, segment in enumerate(segments):
        total = np.where(segment.live_bytes <= cap, waste[segment.first] + segment.waste, _FAR)
        better = total < waste[segment.last]
        waste[segment.last] = np.where(better, total, waste[segment.last])
        if remember:
            came[segment.last] = np.where(better, index, came[segment.last])
    return waste[count], came
