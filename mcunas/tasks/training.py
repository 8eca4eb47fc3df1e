# SPDX-License-Identifier: Apache-2.0
"""Training loops that all methods share: batches, augmentation, one epoch, evaluation, batch-norm recalibration.

Everything random in an epoch is a function of (seed, epoch), so that a resumed run repeats an uninterrupted one.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import nn

from mcunas.tasks import ddp
from mcunas.tasks.schedule import Schedule
from mcunas.tasks.task import Split, Task

LABEL_SMOOTHING = 0.05
EVALUATED = 256     # images in one pass without gradients


def generator(seed: int, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed * 100_003 + epoch)


def tensors(task: Task, split: Split) -> tuple[torch.Tensor, torch.Tensor]:
    """(images float32 (N, C, H, W), labels (N,))."""
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
    return min(len(task.train), schedule.epoch_samples or len(task.train)) // schedule.batch


def cosine(progress: float, top: float, warmup: float = 0.05) -> float:
    """Learning rate at `progress` 0..1: linear warm-up, then cosine to 1 % of the top."""
    if progress < warmup:
        return top * (progress + 0.01) / (warmup + 0.01)
    return top * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup))))


def train_epoch(net: nn.Module, optimizer: torch.optim.Optimizer, data: Iterator[tuple[torch.Tensor, torch.Tensor]],
                rate: Callable[[int], float], loss_of: Callable | None = None) -> float:
    """Plain training; rate(step) is the learning rate of that step. Returns the mean loss.

    loss_of: (images, logits, labels) -> loss, instead of cross entropy.
    """
    net.train()
    total, steps = 0.0, 0
    for images, labels in data:
        for group in optimizer.param_groups:
            group["lr"] = rate(steps)
        logits = net(images)
        loss = loss_of(images, logits, labels) if loss_of else F.cross_entropy(logits, labels,
                                                                               label_smoothing=LABEL_SMOOTHING)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total, steps = total + float(loss.detach()), steps + 1
    return ddp.mean(total / max(steps, 1))


def accuracy(net: nn.Module, task: Task, split: Split) -> float:
    """Share of right answers, evaluation mode."""
    was_training = net.training
    net.eval()
    with torch.no_grad():
        starts = ddp.part(torch.arange(0, len(split), EVALUATED)).tolist()
        parts = (tensors(task, split[start:start + EVALUATED]) for start in starts)
        right = sum(int((net(images).argmax(1) == labels).sum()) for images, labels in parts)
    net.train(was_training)
    return ddp.total(right) / len(split)


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
            net(ddp.part(part))
    for m, momentum in zip(norms, kept):
        m.momentum = momentum
