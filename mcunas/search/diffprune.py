# SPDX-License-Identifier: Apache-2.0
"""Differentiable pruning while training, under RAM, flash and latency budgets at once.

After the idea of Liberis and Lane, "Differentiable Neural Network Pruning for Microcontrollers" (arXiv 2110.08350), with
our own equations (pruning-methods.md section 1.4): widths by soft rank masks, an augmented Lagrangian with annealed
budgets, physical slicing every epoch, and the exact projection with fill at the end.
"""
from __future__ import annotations

import math
import time

import torch
import torch.nn.functional as F

from mcunas.prune.constraints import Constraints
from mcunas.prune.masks import Gates, Widths
from mcunas.prune.project import project
from mcunas.prune.slicing import slice_channels
from mcunas.search.run import Run
from mcunas.tasks.training import LABEL_SMOOTHING, accuracy, batches, cosine, recalibrate, steps_per_epoch

WARM_FACTOR = 1.25          # pruned channels kept alive for the fill
CLEAN_IMAGES = 256
ANNEAL_UNTIL = 0.8          # of the epochs before the projection: budgets have their real value from then on


def shape(run: Run) -> None:
    """Prune `run.net` while it trains, until it fits the budget exactly; resumes where `run` stands."""
    widths = Widths(run.dense_channels)
    dense = run.resources.bound([g.channels for g in run.dense_channels.groups])
    constraints = Constraints(run.budget, dense)
    optimizer = torch.optim.Adam([widths.theta], lr=run.schedule.width_rate)
    if run.notes:
        widths.load(run.notes["widths"])
        optimizer = torch.optim.Adam([widths.theta], lr=run.schedule.width_rate)
        optimizer.load_state_dict(run.notes["optimizer"])
        constraints.duals = run.notes["duals"].clone()
    while run.epoch < run.schedule.prune_epochs:
        started = time.process_time()
        figures = _epoch(run, widths, constraints, optimizer)
        with torch.no_grad(), Gates(run.net, run.channels, widths.soft_masks()):
            recalibrate(run.net, run.task, CLEAN_IMAGES)        # the running statistics lag behind the masks
            figures["validation"] = accuracy(run.net, run.task, run.task.validation)
        if run.epoch + 1 == run.schedule.prune_epochs:
            _project(run, widths)
        else:
            _slice(run, widths, [_alive(widths, g) for g in range(len(run.channels.groups))])
        run.notes = {"widths": widths.state(), "optimizer": optimizer.state_dict(), "duals": constraints.duals}
        run.end_epoch("prune", started, figures)


def anneal(run: Run, epoch: float) -> float:
    """How far the budgets have shrunk, 0..1, at a (fractional) epoch."""
    start = run.schedule.warmup_epochs
    end = max(ANNEAL_UNTIL * run.schedule.prune_epochs, start + 1)
    return min(max((epoch - start) / (end - start), 0.0), 1.0)


def _epoch(run: Run, widths: Widths, constraints: Constraints, optimizer: torch.optim.Optimizer) -> dict:
    """One epoch of weights and widths together."""
    rounded = [round(w) for w in widths.widths().tolist()]
    usage = run.resources.refresh(rounded)
    order = run.resources.order(rounded)
    warm = run.epoch >= run.schedule.warmup_epochs
    steps = steps_per_epoch(run.task, run.schedule)
    widths.progress = min(run.epoch / max(run.schedule.prune_epochs - 1, 1), 1.0)
    widths.reorder()
    run.net.train()
    loss_sum, fraction = 0.0, 0.0
    for step, (images, labels) in enumerate(batches(run.task, run.schedule, run.seed, run.epoch)):
        now = run.epoch + step / steps
        for group in run.optimizer.param_groups:
            group["lr"] = cosine(now / run.schedule.float_epochs, run.schedule.rate)
        with Gates(run.net, run.channels, widths.soft_masks()):
            task_loss = F.cross_entropy(run.net(images), labels, label_smoothing=LABEL_SMOOTHING)
        run.optimizer.zero_grad(set_to_none=True)
        optimizer.zero_grad(set_to_none=True)
        task_loss.backward()
        widths.observe()
        run.optimizer.step()
        if warm:
            fraction = anneal(run, now)
            violation = constraints.violation(run.resources.soft(widths.widths()), fraction)
            constraints.loss(violation).backward()      # adds to the task's gradient on theta
            optimizer.step()
            constraints.step(violation)
        loss_sum += float(task_loss.detach())
    budgets = constraints.annealed(fraction)
    return {"loss": loss_sum / steps, "real_widths": [round(w, 2) for w in widths.widths().tolist()],
            "ram_bytes": usage.ram_bytes, "flash_bytes": usage.flash_bytes, "latency_us": usage.latency_us,
            "annealed_ram_bytes": budgets[0], "annealed_flash_bytes": budgets[1], "annealed_latency_us": budgets[2],
            "duals": [round(float(d), 4) for d in constraints.duals], "order": list(order)}


def _alive(widths: Widths, group: int) -> int:
    """How many channels to keep for now: all that the soft mask still sees, and a reserve for the fill."""
    width = widths.widths().tolist()[group]
    return min(len(widths.rank[group]), max(math.ceil(width + 3 * widths.tau(group)), math.ceil(WARM_FACTOR * width) + 1))


def _slice(run: Run, widths: Widths, counts: list[int]) -> None:
    widths.reorder()
    keep = widths.keep(counts)
    run.channels = slice_channels(run.net, run.channels, keep, run.optimizer)
    widths.select(keep)


def _project(run: Run, widths: Widths) -> None:
    """Cut to the integer widths that hold every budget exactly and use them up."""
    widths.reorder()
    value = [widths.value(g).numpy() for g in range(len(run.channels.groups))]
    alive = list(run.widths)
    least = [min(int(low), a) for low, a in zip(widths.least, alive)]
    wanted = [round(w) for w in widths.widths().tolist()]
    final = project(wanted, value, lambda w: run.resources.bound(w).ratios(run.budget),
                    lambda w: run.resources.exact(w).ratios(run.budget), least, alive)
    _slice(run, widths, list(final))
    recalibrate(run.net, run.task)
    run.is_projected = True
