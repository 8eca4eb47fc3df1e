# SPDX-License-Identifier: Apache-2.0
"""Exact integer projection: drop channels until every budget holds, fill what is left, then exchange what pays.

The guarantee comes from here, never from the loss; the fill matters as much as the optimizer does
(pruning-methods.md section 1.4, Final projection, and section 1.8). The exchange is an integer program over moves of a
few channels in all groups at once; it never loses worth. Pure integers: the checker is a callback.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcunas.errors import DoesNotFit
from mcunas.prune.knapsack import Ratios, nearby

REACH = 6               # channels per group of one exchange
DRIFT = 0.25            # share of its width by which all exchanges together may move a group
STEPS = (1, 2, 4)       # a staircase (alignment, SIMD tails) may only move after several channels
STRIDE = 0.2            # share of a group that may go at once, per unit of relative excess


def project(widths: Sequence[int], value: Sequence[np.ndarray], bound: Ratios, exact: Ratios,
            least: Sequence[int], most: Sequence[int]) -> tuple[int, ...]:
    """Widths that hold every budget exactly and leave no room for a single further channel.

    value: per group the worth of its i-th best channel, comparable between groups. bound: cheap ratios that never
    exceed the exact ones; exact: the checker's. least, most: limits per group. Raises DoesNotFit at the least widths.
    """
    start = tuple(int(np.clip(w, low, high)) for w, low, high in zip(widths, least, most))
    dropped = drop(drop(start, value, bound, least), value, exact, least)
    exchanged = _exchange(fill(dropped, value, bound, exact, most), value, bound, exact, least, most)
    return fill(exchanged, value, bound, exact, most)


def drop(widths: tuple[int, ...], value: Sequence[np.ndarray], ratios: Ratios, least: Sequence[int]) -> tuple[int, ...]:
    """Remove the channels of least worth per unit of relative violation that they relieve; many at once far from the end."""
    now = ratios(widths)
    while (now > 1).any():
        best, choice = np.inf, None
        for g, width in enumerate(widths):
            stride = max(1, int(STRIDE * (float(now.max()) - 1) * width))
            for step in (stride * step for step in STEPS):
                if width - step < least[g]:
                    break
                candidate = _moved(widths, g, -step)
                relief = float((np.maximum(now, 1) - np.maximum(ratios(candidate), 1)).sum())
                lost = float(value[g][width - step:width].sum()) + 1e-9 * step
                if relief > 1e-12:
                    if lost / relief < best:
                        best, choice = lost / relief, candidate
                    break
        if choice is None:                      # a plateau: no single group relieves anything, so shrink the widest
            room = [(w - low) / w for w, low in zip(widths, least)]
            if max(room) <= 0:
                raise DoesNotFit("the network exceeds the budget even at its least widths",
                                 fix="raise the budget or start from a smaller network")
            choice = _moved(widths, int(np.argmax(room)), -1)
        widths, now = choice, ratios(choice)
    return widths


def fill(widths: tuple[int, ...], value: Sequence[np.ndarray], bound: Ratios, exact: Ratios,
         most: Sequence[int]) -> tuple[int, ...]:
    """Add the channels of greatest worth per unit of budget while any single step stays feasible."""
    now = exact(widths)
    while True:
        options = []
        for g, width in enumerate(widths):
            for step in STEPS:                  # a larger step can fit where a smaller one does not: whole blocks are cheap
                if width + step > most[g]:
                    break
                candidate = _moved(widths, g, step)
                after = bound(candidate)
                if (after <= 1).all():
                    price = float(np.maximum(after[:3] - now[:3], 0).sum()) + 1e-6 * step
                    options.append((float(value[g][width:width + step].sum()) / price, candidate))
                    break
        options.sort(key=lambda o: -o[0])
        chosen = next((c for _, c in options if (exact(c) <= 1).all()), None)
        if chosen is None:
            return widths
        widths, now = chosen, exact(chosen)


def _exchange(widths: tuple[int, ...], value: Sequence[np.ndarray], bound: Ratios, exact: Ratios,
              least: Sequence[int], most: Sequence[int]) -> tuple[int, ...]:
    """Move to the best widths nearby while the sum of worth grows; their summed prices are repaired each time.

    It stays close to where it began: how channels are spread over groups was learned, and worth knows less of that.
    """
    drift = [max(2, int(DRIFT * w)) for w in widths]
    least = [max(low, w - d) for low, w, d in zip(least, widths, drift)]
    most = [min(high, w + d) for high, w, d in zip(most, widths, drift)]
    while True:
        candidate = nearby(widths, value, bound, least, most, REACH)
        if candidate is None:
            return widths
        fitting = drop(drop(candidate, value, bound, least), value, exact, least)
        candidate = fill(fitting, value, bound, exact, most)
        if _worth(candidate, value) <= _worth(widths, value) * (1 + 1e-6):
            return widths
        widths = candidate


def _worth(widths: tuple[int, ...], value: Sequence[np.ndarray]) -> float:
    return sum(float(v[:w].sum()) for v, w in zip(value, widths))


def _moved(widths: tuple[int, ...], group: int, step: int) -> tuple[int, ...]:
    return (*widths[:group], widths[group] + step, *widths[group + 1:])
