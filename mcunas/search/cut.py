# SPDX-License-Identifier: Apache-2.0
"""Cutting a run's network while it trains, and for good: what every method that prunes ends with."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcunas.errors import DoesNotFit
from mcunas.prune.masks import LEAST_WIDTH, Widths
from mcunas.prune.project import project
from mcunas.prune.slicing import slice_channels
from mcunas.search.run import Run
from mcunas.tasks.training import recalibrate


def cut(run: Run, widths: Widths, counts: Sequence[int]) -> None:
    """Keep the `counts[g]` most important channels of each group; the optimizer's state goes along."""
    widths.reorder()
    keep = widths.keep(list(counts))
    run.channels = slice_channels(run.net, run.channels, keep, run.optimizer)
    widths.select(keep)


def cut_to_budget(run: Run, widths: Widths, wanted: Sequence[int], value: Sequence[np.ndarray],
                  least: Sequence[int]) -> None:
    """Cut to the integer widths near `wanted` that hold every budget exactly and use them up. See `fitting`."""
    widths.reorder()
    finish(run, widths, fitting(run, wanted, value, least, run.widths))


def finish(run: Run, widths: Widths, counts: Sequence[int]) -> None:
    """Cut for good to widths that fit."""
    cut(run, widths, counts)
    recalibrate(run.net, run.task)
    run.is_projected = True


def fitting(run: Run, wanted: Sequence[int], value: Sequence[np.ndarray], least: Sequence[int],
            most: Sequence[int]) -> tuple[int, ...]:
    """The integer widths near `wanted`, at most `most`, that hold every budget exactly and use them up.

    value: per group the worth of its channels, best first. least: widths to stay above where the budgets allow it.
    """
    resources, budget = run.resources, run.budget
    bound, exact = (lambda w: resources.bound(w).ratios(budget)), (lambda w: resources.exact(w).ratios(budget))
    lowest = [min(LEAST_WIDTH, g.channels) for g in run.dense_channels.groups]
    try:
        return project(wanted, value, bound, exact, [min(low, m) for low, m in zip(least, most)], most)
    except DoesNotFit:                  # the balance between groups is a wish, the budgets are not
        return project(wanted, value, bound, exact, [min(low, m) for low, m in zip(lowest, most)], most)
