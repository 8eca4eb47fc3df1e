# SPDX-License-Identifier: Apache-2.0
"""The arm that every table needs: one width multiplier for all groups, on a fine grid, then the same fill as the others."""
from __future__ import annotations

import numpy as np

from mcunas.prune.masks import LEAST_WIDTH
from mcunas.prune.project import fill
from mcunas.search.run import Run

GRID = 500


def shape(run: Run) -> None:
    """Give `run.net` the widest uniform multiple of its dense widths that fits, filled; no training is spent."""
    if run.is_projected:
        return
    full = run.widths
    # the same worth for the same share of the dense width: fill keeps the proportions as far as it can
    value = [f / (1.0 + np.arange(f)) / f for f in full]
    run.reshape(fill(uniform_widths(run, full), value, lambda w: run.resources.bound(w).ratios(run.budget),
                     lambda w: run.resources.exact(w).ratios(run.budget), full))
    run.is_projected = True


def uniform_widths(run: Run, full: tuple[int, ...]) -> tuple[int, ...]:
    """The widest multiple of `full` on the grid that fits all budgets."""
    low, high = 0, GRID                         # usage grows with the multiplier: bisect on the grid
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _fits(run, scaled(full, middle / GRID)) else (low, middle)
    return scaled(full, high / GRID) if _fits(run, scaled(full, high / GRID)) else scaled(full, low / GRID)


def scaled(full: tuple[int, ...], multiplier: float) -> tuple[int, ...]:
    return tuple(max(min(LEAST_WIDTH, f), round(f * multiplier)) for f in full)


def _fits(run: Run, widths: tuple[int, ...]) -> bool:
    return run.resources.exact(widths).fits(run.budget)
