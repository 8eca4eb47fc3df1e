# SPDX-License-Identifier: Apache-2.0
"""An epoch of a search that moves weights and alpha in turn: one of weights, then, after the warm-up, one of alpha.

The parts of the data and their order are FBNet's (Wu et al., arXiv 1812.03443).
"""
from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import torch

from mcunas.search.nas.figures import of_epoch, progress
from mcunas.search.nas.run import NasRun
from mcunas.search.nas.shared import Shared
from mcunas.space.sampling import Draw
from mcunas.space.supernet import Gates

Cost = Callable[[Gates, float], torch.Tensor]       # (gates, progress 0..1) -> what is added to the task's loss


def alternate(run: NasRun, shared: Shared, of_weights: Draw, of_alpha: Draw, cost: Cost, figures: Mapping[str, float],
              moves: bool = True, multiplies: bool = False) -> None:
    """Run and book it. of_weights, of_alpha: how gates are drawn for each. moves: whether alpha does. multiplies: whether
    the cost is a factor of the task's loss instead."""
    started, ran = time.process_time(), shared.net.option_forwards
    run.prices.anchor(run.space.genotype(shared.net.best()))
    loss = shared.weight_epoch(run.weight_batches(run.epoch), run.weight_steps, of_weights)
    samples, arch_loss = run.weight_steps * run.schedule.batch, {}
    if run.epoch >= run.schedule.warmup_epochs and moves:
        arch_loss = {"arch_loss": _arch_epoch(run, shared, of_alpha, cost, multiplies)}
        samples += run.arch_steps * run.schedule.batch
    found = {"loss": loss, **figures, **of_epoch(run, shared)}
    run.notes = {"shared": shared.notes()}
    run.end_epoch("search", started, found | arch_loss, samples, shared.net.option_forwards - ran)


def _arch_epoch(run: NasRun, shared: Shared, draw: Draw, cost: Cost, multiplies: bool) -> float:
    total, steps = 0.0, run.arch_steps
    shared.net.train()
    for step, (images, labels) in enumerate(run.arch_batches(run.epoch)):
        at = progress(run, run.epoch + step / steps)
        total += shared.arch_step(images, labels, draw, lambda gates, at=at: cost(gates, at), multiplies)
    return total / steps
