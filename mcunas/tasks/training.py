# SPDX-License-Identifier: Apache-2.0
"""Training loops that all methods share: batches, augmentation, one epoch, evaluation, batch-norm recalibration.

Everything random in an epoch is a function of (seed, epoch), so that a resumed run repeats an uninterrupted one.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from mcunas.errors import InputError
from mcunas.tasks import ddp
from mcunas.tasks.objective import CLASSIFICATION, Objective
from mcunas.tasks.schedule import Schedule
from mcunas.tasks.task import Split, Task

EVALUATED = 256     # images in one pass without gradients


def generator(seed: int, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed * 100_003 + epoch)


def tensors(task: Task, split: Split) -> tuple[torch.Tensor, torch.Tensor]:
    """(images float32 (N, C, H, W), labels (N, ...))."""
    return torch.from_numpy(task.real(split.images)), torch.from_numpy(split.labels)


def batches(task: Task, schedule: Schedule, seed: int, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """One shuffled, augmented epoch: (images float32 (batch, C, H, W), labels); the incomplete last batch is dropped.

    Among several processes, this one's part of each batch.
    """
    labels, size = torch.from_numpy(task.train.labels), schedule.batch
    random = generator(seed, epoch)
    order = torch.randperm(len(labels), generator=random)
    for step in range(steps_per_epoch(task, schedule)):
        index = order[step * size:(step + 1) * size]
        images = torch.from_numpy(task.real(task.train.images[index.numpy()]))
        yield ddp.part(task.augment(images, random)), ddp.part(labels[index])


def steps_per_epoch(task: Task, schedule: Schedule) -> int:
    """At least one. Raises InputError where an epoch has fewer items than a batch."""
    samples = min(len(task.train), schedule.epoch_samples or len(task.train))
    if samples < schedule.batch:
        raise InputError(f"an epoch has {samples:,} items, a batch takes {schedule.batch:,}", where=task.name,
                         fix="give a smaller batch, or more items")
    return samples // schedule.batch


def number(loss: torch.Tensor) -> float:
    """Of a step. Raises InputError where it is none: what follows would be none either."""
    found = float(loss.detach())
    if not math.isfinite(found):
        raise InputError(f"the training has diverged, its loss is {found}", where="training",
                         fix="give a lower rate, or scale the inputs")
    return found


def cosine(progress: float, top: float, warmup: float = 0.05) -> float:
    """Learning rate at `progress` 0..1: linear warm-up, then cosine to 1 % of the top."""
    if progress < warmup:
        return top * (progress + 0.01) / (warmup + 0.01)
    return top * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup))))


def train_epoch(net: nn.Module, optimizer: torch.optim.Optimizer, data: Iterator[tuple[torch.Tensor, torch.Tensor]],
                rate: Callable[[int], float], loss_of: Callable | None = None,
                objective: Objective = CLASSIFICATION) -> float:
    """Plain training; rate(step) is the learning rate of that step. Returns the mean loss.

    objective: the task's. loss_of: (images, outputs, labels) -> loss, instead of the objective's.
    """
    net.train()
    total, steps = 0.0, 0
    for images, labels in data:
        for group in optimizer.param_groups:
            group["lr"] = rate(steps)
        outputs = net(images)
        loss = loss_of(images, outputs, labels) if loss_of else objective.loss(outputs, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total, steps = total + number(loss), steps + 1
    return ddp.mean(total / max(steps, 1))


def train_shortly(net: nn.Module, optimizer: torch.optim.Optimizer, task: Task, schedule: Schedule, seed: int, epochs: int,
                  loss_of: Callable | None = None) -> int:
    """All epochs of a candidate's training in one go, the rate a cosine over them. Returns the samples that it saw."""
    steps = steps_per_epoch(task, schedule)
    for epoch in range(epochs):
        train_epoch(net, optimizer, batches(task, schedule, seed, epoch),
                    lambda step, epoch=epoch: cosine((epoch + step / steps) / epochs, schedule.rate), loss_of,
                    task.objective)
    return epochs * steps * schedule.batch


def measures(net: nn.Module, task: Task, split: Split) -> dict[str, float]:
    """What the task's objective measures, by name, in evaluation mode."""
    was_training = net.training
    net.eval()
    found = []
    with torch.no_grad():
        for start in ddp.part(torch.arange(0, len(split), EVALUATED)).tolist():
            outputs = net(torch.from_numpy(task.real(split.images[start:start + EVALUATED])))
            found.append(task.objective.decode(channels_last(outputs), None))
    net.train(was_training)
    return dict(task.objective.measure(np.concatenate(ddp.gather(found)), split.labels))


def score(net: nn.Module, task: Task, split: Split) -> float:
    """The task's metric, higher is better: `measures` tells all of them."""
    return measures(net, task, split)[task.objective.metric]


def channels_last(outputs: torch.Tensor) -> np.ndarray:
    """A network's outputs in the order of the deployed ones."""
    outputs = outputs.detach().cpu()
    return (outputs.permute(0, 2, 3, 1) if outputs.dim() == 4 else outputs).numpy()


def recalibrate(net: nn.Module, task: Task, count: int = 4096, size: int = 128) -> None:
    """Recompute the batch-norm statistics on at most `count` clean training images: slicing changed what the layers see."""
    norms = [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    kept = [m.momentum for m in norms]
    for m in norms:
        m.reset_running_stats()
        m.momentum = None                       # cumulative average
    net.train()
    images = tensors(task, task.train[:count])[0]
    with torch.no_grad():
        for part in images.split(size):
            try:
                net(ddp.part(part))
            except ValueError:
                if len(part) > 1:       # one that is left over has no variance where maps are 1x1
                    raise
    for m, momentum in zip(norms, kept):
        m.momentum = momentum
