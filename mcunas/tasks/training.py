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

from mcunas.tasks.task import Split, Task

LABEL_SMOOTHING = 0.05


def generator(seed: int, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed * 100_003 + epoch)


def tensors(task: Task, split: Split) -> tuple[torch.Tensor, torch.Tensor]:
    """(images float32 (N, C, H, W), labels (N,))."""
    return torch.from_numpy(task.real(split.images)), torch.from_numpy(split.labels)


def augment(task: Task, images: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Shift, rotate and zoom each image within the task's limits (bilinear, zeros outside)."""
    if not (task.shift_pixels or task.rotate_degrees or task.zoom):
        return images
    count, _, height, width = images.shape
    draw = torch.rand(4, count, generator=random) * 2 - 1
    angle = draw[0] * math.radians(task.rotate_degrees)
    zoom = 1 + draw[1] * task.zoom
    affine = torch.stack([torch.cos(angle) * zoom, -torch.sin(angle) * zoom, draw[2] * 2 * task.shift_pixels / width,
                          torch.sin(angle) * zoom, torch.cos(angle) * zoom, draw[3] * 2 * task.shift_pixels / height], 1)
    grid = F.affine_grid(affine.view(count, 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def batches(task: Task, seed: int, epoch: int, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """One shuffled, augmented pass over the training split; the incomplete last batch is dropped."""
    images, labels = tensors(task, task.train)
    random = generator(seed, epoch)
    order = torch.randperm(len(labels), generator=random)
    for start in range(0, len(order) - size + 1, size):
        index = order[start:start + size]
        yield augment(task, images[index], random), labels[index]


def steps_per_epoch(task: Task, size: int) -> int:
    return len(task.train) // size


def cosine(progress: float, top: float, warmup: float = 0.05) -> float:
    """Learning rate at `progress` 0..1: linear warm-up, then cosine to 1 % of the top."""
    if progress < warmup:
        return top * (progress + 0.01) / (warmup + 0.01)
    return top * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup))))


def train_epoch(net: nn.Module, optimizer: torch.optim.Optimizer, data: Iterator[tuple[torch.Tensor, torch.Tensor]],
                rate: Callable[[int], float]) -> float:
    """Plain training; rate(step) is the learning rate of that step. Returns the mean loss."""
    net.train()
    total, steps = 0.0, 0
    for images, labels in data:
        for group in optimizer.param_groups:
            group["lr"] = rate(steps)
        loss = F.cross_entropy(net(images), labels, label_smoothing=LABEL_SMOOTHING)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total, steps = total + float(loss.detach()), steps + 1
    return total / max(steps, 1)


def accuracy(net: nn.Module, task: Task, split: Split) -> float:
    """Share of right answers, evaluation mode."""
    images, labels = tensors(task, split)
    was_training = net.training
    net.eval()
    with torch.no_grad():
        right = sum(int((net(i).argmax(1) == t).sum()) for i, t in zip(images.split(256), labels.split(256)))
    net.train(was_training)
    return right / len(labels)


def recalibrate(net: nn.Module, task: Task, count: int | None = None, size: int = 128) -> None:
    """Recompute the batch-norm statistics on `count` clean training images: slicing changed what the layers see."""
    norms = [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    kept = [m.momentum for m in norms]
    for m in norms:
        m.reset_running_stats()
        m.momentum = None                       # cumulative average
    net.train()
    images = tensors(task, task.train)[0][:count]
    with torch.no_grad():
        for part in images.split(size):
            net(part)
    for m, momentum in zip(norms, kept):
        m.momentum = momentum
