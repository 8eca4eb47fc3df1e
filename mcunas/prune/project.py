# SPDX-License-Identifier: Apache-2.0
"""Exact integer projection: drop channels until every budget holds, fill what is left, exchange what pays.

The guarantee comes from here, never from the loss; the fill matters as much as the optimizer does
(pruning-methods.md section 1.4, Final projection, and section 1.8). Pure integers: the checker is a callback.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mcunas.errors import DoesNotFit

STEPS = (1, 2, 4)       # a staircase (alignment, SIMD tails) may only move after several channels

Ratios = Callable[[tuple[int, ...]], np.ndarray]    # widths -> usage over budget, every entry must end <= 1


def project(widths: Sequence[int], value: Sequence[np.ndarray], bound: Ratios, exact: Ratios,
            least: Sequence[int], most: Sequence[int]) -> tuple[int, ...]:
    """Widths that hold every budget exactly and leave no room for a single further channel.

    value: per group the worth of its i-th best channel, comparable between groups. bound: cheap ratios that never
    exceed the exact ones; exact: the checker's. least, most: limits per group. Raises DoesNotFit at the least widths.
    """
    start = tuple(int(np.clip(w, low, high)) for w, low, high in zip(widths, least, most))
    dropped = _drop(_drop(start, value, bound, least), value, exact, least)
    return _exchange(fill(dropped, value, bound, exact, most), value, bound, exact, least, most)


def _drop(widths: tuple[int, ...], value: Sequence[np.ndarray], ratios: Ratios, least: Sequence[int]) -> tuple[int, ...]:
    """Remove the channels of least worth per unit of relative violation that they relieve."""
    now = ratios(widths)
    while (now > 1).any():
        best, choice = np.inf, None
        for g, width in enumerate(widths):
            for step in STEPS:
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
    """Give a channel of one group for channels of another while the sum of worth grows; filled again each time."""
    while True:
        best, choice = _worth(widths, value), None
        for g, width in enumerate(widths):
            for h in range(len(widths)):
                if h == g or width <= least[g] or widths[h] >= most[h]:
                    continue
                candidate = _moved(_moved(widths, g, -1), h, 1)
                if (bound(candidate) <= 1).all() and (exact(candidate) <= 1).all():
                    candidate = fill(candidate, value, bound, exact, most)
                    worth = _worth(candidate, value)
                    if worth > best * (1 + 1e-6):
                        best, choice = worth, candidate
        if choice is None:
            return widths
        widths = choice


def _worth(widths: tuple[int, ...], value: Sequence[np.ndarray]) -> float:
    return sum(float(v[:w].sum()) for v, w in zip(value, widths))


def _moved(widths: tuple[int, ...], group: int, step: int) -> tuple[int, ...]:
    return (*widths[:group], widths[group] + step, *widths[group + 1:])
