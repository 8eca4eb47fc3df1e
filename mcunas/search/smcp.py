# SPDX-License-Identifier: Apache-2.0
"""Soft masking for cost-constrained channel pruning: SMCP (Humble et al., ECCV 2022, arXiv 2211.02206), for an MCU.

Weights stay dense while masks are solved again and again as a knapsack under the annealed budgets: flash and latency
add up, RAM has a row per schedule step (pruning-methods.md section 2). Those prices only add up near the present widths,
so groups move a little per solve, and the last masks before the freeze are projected exactly, as in all methods.
"""
from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import torch

from mcunas.budget import Budget
from mcunas.errors import DoesNotFit, InputError
from mcunas.prune.constraints import Constraints
from mcunas.prune.knapsack import allocate
from mcunas.prune.masks import LEAST_WIDTH, Widths
from mcunas.prune.project import drop
from mcunas.prune.soft_masks import VARIANTS, SoftMasks
from mcunas.search.cut import finish, fitting
from mcunas.search.diffprune import CLEAN_IMAGES, anneal
from mcunas.search.run import Run
from mcunas.tasks import ddp
from mcunas.tasks.training import number, recalibrate, score, steps_per_epoch

SETTINGS = {"variant": "soft"}      # of SoftMasks
SOLVES_PER_EPOCH = 2
KNOTS = 5                   # exact prices per group and solve
REACH = 0.3                 # share of its width by which a group may change in one solve


def shape(run: Run) -> None:
    """Mask `run.net` while it trains, until it fits the budget exactly; resumes where `run` stands."""
    if run.settings["variant"] not in VARIANTS:
        raise InputError(f"unknown variant {run.settings['variant']!r}", fix=f"use one of {', '.join(VARIANTS)}")
    masks = SoftMasks(run.net, run.channels, run.settings["variant"])
    constraints = Constraints(run.budget, run.resources.bound(run.widths))
    if run.notes:
        masks.load(run.notes["masks"])
    while run.epoch < run.schedule.prune_epochs:
        started = time.process_time()
        figures = _epoch(run, masks, constraints)
        with torch.no_grad():
            masked = _Masked(masks)
            recalibrate(masked, run.task, CLEAN_IMAGES)
            figures["validation"] = score(masked, run.task, run.task.validation)
        if run.epoch + 1 == run.schedule.prune_epochs:
            _cut(run, masks)
        run.notes = {"masks": masks.state()}
        run.end_epoch("prune", started, figures)


class _Masked(torch.nn.Module):
    """The network as its masks let it be seen."""

    def __init__(self, masks: SoftMasks) -> None:
        super().__init__()
        self.net, self.masks = masks.net, masks

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.masks.forward(images)


def _counts(masks: SoftMasks) -> tuple[int, ...]:
    return tuple(int(k.sum()) for k in masks.kept)


def _epoch(run: Run, masks: SoftMasks, constraints: Constraints) -> dict[str, Any]:
    steps = steps_per_epoch(run.task, run.schedule)
    solve_every = math.ceil(steps / SOLVES_PER_EPOCH)
    loss_sum, returned, budgets = 0.0, 0, constraints.annealed(anneal(run, run.epoch))
    for step, (now, images, labels) in enumerate(run.batches()):
        frozen = anneal(run, now - solve_every / steps) >= 1.0      # once masks hold the real budgets
        if step % solve_every == 0 and run.epoch >= run.schedule.warmup_epochs and not frozen:
            fraction = anneal(run, now)
            budgets = constraints.annealed(fraction)
            counts = _solve(run, masks, Budget(int(budgets[0]), int(budgets[1]), budgets[2]))
            returned += masks.keep(_fitting(run, masks, counts) if fraction >= 1.0 else counts)
        loss = run.task.objective.loss(masks.forward(images), labels)
        run.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        masks.observe()
        run.optimizer.step()
        loss_sum += number(loss)
    usage = run.resources.bound(_counts(masks))
    run.facts["returned_channels"] = run.facts.get("returned_channels", 0) + returned
    return {"loss": ddp.mean(loss_sum / steps), "real_widths": list(_counts(masks)), "returned_channels": returned,
            "ram_bytes": usage.ram_bytes, "flash_bytes": usage.flash_bytes, "latency_us": usage.latency_us,
            "annealed_ram_bytes": budgets[0], "annealed_flash_bytes": budgets[1], "annealed_latency_us": budgets[2]}


def _solve(run: Run, masks: SoftMasks, budget: Budget) -> tuple[int, ...]:
    """How many channels each group keeps under `budget`, by the knapsack; by greedy dropping where it finds nothing."""
    def ratios(widths: tuple[int, ...]):
        return run.resources.bound(widths).ratios(budget)

    value, now = _value(masks), _counts(masks)
    # prices add up only nearby, so masks move step by step
    least = [max(min(LEAST_WIDTH, full), math.floor(w * (1 - REACH))) for w, full in zip(now, run.widths)]
    most = [w if masks.variant == "permanent" else min(full, math.ceil(w * (1 + REACH))) for w, full in zip(now, run.widths)]
    found = allocate(now, value, ratios, least, most, KNOTS)
    if found is None:
        try:
            found = drop(now, value, ratios, least)
        except DoesNotFit:              # not in one step, or not with permanent choices: the projection has the last word
            found = tuple(least)
    return found


def _fitting(run: Run, masks: SoftMasks, counts: tuple[int, ...]) -> tuple[int, ...]:
    """`counts`, projected: the masks that are frozen are those that will be cut."""
    most = _counts(masks) if masks.variant == "permanent" else run.widths
    wanted = [min(c, m) for c, m in zip(counts, most)]
    return fitting(run, wanted, _value(masks), Widths(run.channels).floors(wanted), most)


def _cut(run: Run, masks: SoftMasks) -> None:
    counts = _counts(masks)
    if not run.resources.exact(counts).fits(run.budget):        # too few epochs to reach the real budgets
        masks.keep(counts := _fitting(run, masks, counts))
    widths = Widths(run.channels)
    widths.importance = [kept * (1 + score) for kept, score in zip(masks.kept, masks.score)]
    finish(run, widths, counts)


def _value(masks: SoftMasks) -> list[np.ndarray]:
    """Worth of each channel, best first: first-order changes of the loss, which compare between groups as they are."""
    return [s.clamp(min=0).sort(descending=True).values.numpy() for s in masks.ranked()]
