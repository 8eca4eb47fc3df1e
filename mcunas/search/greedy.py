# SPDX-License-Identifier: Apache-2.0
"""An arm for tables: no widths are learned; after every epoch the least important channels go until budgets hold.

Importance, slicing, budgets and the final projection are diffprune's.
"""
from __future__ import annotations

import time

import numpy as np

from mcunas.budget import Budget
from mcunas.prune.constraints import Constraints
from mcunas.prune.masks import Gates, Widths
from mcunas.prune.project import drop
from mcunas.search.cut import cut, cut_to_budget
from mcunas.search.diffprune import anneal
from mcunas.search.run import Run
from mcunas.tasks import ddp
from mcunas.tasks.training import number, score, steps_per_epoch


def shape(run: Run) -> None:
    """Drop channels of `run.net` epoch by epoch while it trains, until it fits the budget exactly."""
    widths = Widths(run.dense_channels)
    constraints = Constraints(run.budget, run.resources.bound(run.dense_widths))
    if run.notes:
        widths.load(run.notes["widths"])
    while run.epoch < run.schedule.prune_epochs:
        started = time.process_time()
        figures = {"loss": _train(run, widths), "validation": score(run.net, run.task, run.task.validation)}
        if run.epoch + 1 == run.schedule.prune_epochs:
            cut_to_budget(run, widths, run.widths, _value(widths), widths.floors(run.widths))
        else:
            ram, flash, latency = constraints.annealed(anneal(run, run.epoch + 1))
            budget = Budget(int(ram), int(flash), latency)
            widths.reorder()
            value = _value(widths)
            least = [min(int(low), w) for low, w in zip(widths.least, run.widths)]
            cut(run, widths, drop(run.widths, value, lambda w, b=budget: run.resources.bound(w).ratios(b), least))
        usage = run.resources.bound(run.widths)
        figures |= {"ram_bytes": usage.ram_bytes, "flash_bytes": usage.flash_bytes, "latency_us": usage.latency_us}
        run.notes = {"widths": widths.state()}
        run.end_epoch("prune", started, figures)


def _value(widths: Widths) -> list[np.ndarray]:
    return [widths.value(g).numpy() for g in range(len(widths.rank))]


def _train(run: Run, widths: Widths) -> float:
    """One epoch at the present widths; masks of ones collect the importance. Returns the mean loss."""
    steps, total = steps_per_epoch(run.task, run.schedule), 0.0
    for _, images, labels in run.batches():
        with Gates(run.net, run.channels, widths.open_masks()):
            loss = run.task.objective.loss(run.net(images), labels)
        run.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        widths.observe()
        run.optimizer.step()
        total += number(loss)
    return ddp.mean(total / steps)
