# SPDX-License-Identifier: Apache-2.0
"""Distillation: after the projection, the small network also learns what the unpruned one answers.

The teacher is the starting net at its dense widths, trained for `Schedule.teacher_epochs` on the same data, and charged
to the run's ledger like everything else. Hinton, Vinyals, Dean, arXiv 1503.02531.
"""
from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import nn

from mcunas.search.state import State
from mcunas.space import Genotype
from mcunas.tasks.objective import Objective
from mcunas.tasks.training import batches, cosine, steps_per_epoch, train_epoch

FIRST_EPOCH = 200_000       # of the random streams: far from those of the search and of quantization
SHARE = 0.7        # of the teacher's answers in the loss; the labels have the rest

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]       # (images, outputs, labels) -> loss


def distilled(run: State) -> Loss | None:
    """The loss of the fine-tuning: the teacher's answers beside the labels; None where no teacher is asked for.

    Trains the teacher first, or what is left of it: its state is part of the run's checkpoint.
    """
    if not run.schedule.teacher_epochs:
        return None
    return taught_by(trained(run), run.task.objective)


def taught_by(teacher: nn.Module, objective: Objective) -> Loss:
    """teacher: in evaluation mode."""
    def loss(images: torch.Tensor, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            wanted = teacher(images)
        return (1 - SHARE) * objective.loss(outputs, labels) + SHARE * objective.imitation(outputs, wanted)

    return loss


def trained(run: State, start: Genotype | None = None, epochs: int | None = None) -> nn.Module:
    """The dense starting net, or a search's own teacher, after `teacher_epochs`; in evaluation mode. start, epochs: another
    network than the run begins from, and another number."""
    schedule, total = run.schedule, epochs or run.schedule.teacher_epochs
    kept = torch.get_rng_state()
    torch.manual_seed(run.seed)
    net, epoch = (start or run.start).build_dense(), 0
    optimizer = torch.optim.SGD(net.parameters(), lr=schedule.rate, momentum=0.9, nesterov=True,
                                weight_decay=schedule.weight_decay)
    if run.teacher:
        net.load_state_dict(run.teacher["net"])
        optimizer.load_state_dict(run.teacher["optimizer"])
        epoch = run.teacher["epoch"]
        torch.set_rng_state(kept)
    steps = steps_per_epoch(run.task, schedule)
    while epoch < total:
        started = time.process_time()
        loss = train_epoch(net, optimizer, batches(run.task, schedule, run.seed, FIRST_EPOCH + epoch),
                           lambda step, epoch=epoch: cosine((epoch + step / steps) / total, schedule.rate),
                           objective=run.task.objective)
        epoch += 1
        run.teacher = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}
        run.ledger.charge("teacher", time.process_time() - started, run.samples_per_epoch)
        run.progress("teacher", epoch, total, {"loss": loss})
        run.save()
    return net.eval()
