# SPDX-License-Identifier: Apache-2.0
"""Differentiable pruning while training, under RAM, flash and latency budgets at once.

After the idea of Liberis and Lane, "Differentiable Neural Network Pruning for Microcontrollers" (arXiv 2110.08350), with
our own equations (pruning-methods.md section 1.4): widths by soft rank masks, an augmented Lagrangian with annealed
budgets, physical slicing every epoch, and the exact projection with fill at the end.
"""
from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch

from mcunas.prune.constraints import Constraints
from mcunas.prune.masks import Gates, Widths
from mcunas.search.cut import cut, cut_to_budget
from mcunas.search.run import Run
from mcunas.tasks import ddp
from mcunas.tasks.training import number, recalibrate, score, steps_per_epoch

WARM_FACTOR = 1.25          # pruned channels kept alive for the fill
CLEAN_IMAGES = 256
ANNEAL_UNTIL = 0.8          # of the epochs before the projection: budgets have their real value from then on

Soft = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]     # Resources.soft or its like


def shape(run: Run) -> None:
    """Prune `run.net` while it trains, until it fits the budget exactly; resumes where `run` stands."""
    prune(run, Constraints(run.budget, run.resources.bound(run.dense_widths)), run.resources.soft)


def prune(run: Run, constraints: Constraints, soft: Soft, slices: bool = True) -> None:
    """Learn widths under `constraints` on what `soft` says they take, then project onto `run.budget`.

    slices: cut the network after every epoch, so that training gets cheaper.
    """
    widths = Widths(run.dense_channels)
    if run.notes:
        widths.load(run.notes["widths"])
        constraints.duals = run.notes["duals"].clone()
    while run.epoch < run.schedule.prune_epochs:
        started = time.process_time()
        figures = _epoch(run, widths, constraints, soft)
        with torch.no_grad(), Gates(run.net, run.channels, widths.soft_masks()):
            recalibrate(run.net, run.task, CLEAN_IMAGES)        # the running statistics lag behind the masks
            figures["validation"] = score(run.net, run.task, run.task.validation)
        if run.epoch + 1 == run.schedule.prune_epochs:
            wanted = [round(w) for w in widths.widths().tolist()]
            cut_to_budget(run, widths, wanted, [widths.worth(g) for g in range(len(wanted))], widths.least.int().tolist())
        elif slices:
            cut(run, widths, _alive(widths))
        run.notes = {"widths": widths.state(), "duals": constraints.duals}
        run.end_epoch("prune", started, figures)


def anneal(run: Run, epoch: float) -> float:
    """How far the budgets have shrunk, 0..1, at a (fractional) epoch."""
    start = run.schedule.warmup_epochs
    end = max(ANNEAL_UNTIL * run.schedule.prune_epochs, start + 1)
    return min(max((epoch - start) / (end - start), 0.0), 1.0)


def _epoch(run: Run, widths: Widths, constraints: Constraints, soft: Soft) -> dict:
    """One epoch of weights and widths together."""
    rounded = [round(w) for w in widths.widths().tolist()]
    usage = run.resources.refresh(rounded)
    order = run.resources.order(rounded)
    warm = run.epoch >= run.schedule.warmup_epochs
    steps = steps_per_epoch(run.task, run.schedule)
    widths.progress = min(run.epoch / max(run.schedule.prune_epochs - 1, 1), 1.0)
    widths.reorder()
    loss_sum, fraction = 0.0, 0.0
    for now, images, labels in run.batches():
        with Gates(run.net, run.channels, widths.soft_masks()):
            task_loss = run.task.objective.loss(run.net(images), labels)
        run.optimizer.zero_grad(set_to_none=True)
        widths.theta.grad = None
        task_loss.backward()
        widths.observe()
        run.optimizer.step()
        if warm:
            fraction = anneal(run, now)
            violation = constraints.violation(soft(widths.widths()), fraction)
            constraints.loss(violation).backward()      # adds to the task's gradient on theta
            widths.step(run.schedule.width_rate)
            constraints.step(violation)
        loss_sum += number(task_loss)
    budgets = constraints.annealed(fraction)
    return {"loss": ddp.mean(loss_sum / steps), "real_widths": [round(w, 2) for w in widths.widths().tolist()],
            "ram_bytes": usage.ram_bytes, "flash_bytes": usage.flash_bytes, "latency_us": usage.latency_us,
            "annealed_ram_bytes": budgets[0], "annealed_flash_bytes": budgets[1], "annealed_latency_us": budgets[2],
            "duals": [round(float(d), 4) for d in constraints.duals],
            "gains": [round(float(g), 4) for g in widths.gain], "order": list(order)}


def _alive(widths: Widths) -> list[int]:
    """How many channels to keep for now: all that the soft masks still see, and a reserve for the fill."""
    return [min(len(widths.rank[g]), max(math.ceil(w + 3 * widths.tau(g)), math.ceil(WARM_FACTOR * w) + 1))
            for g, w in enumerate(widths.widths().tolist())]
