# SPDX-License-Identifier: Apache-2.0
"""How good a candidate is: the loss on labelled images of the network with that one cell exchanged.

Batch norms take each batch's own statistics, for the reference and for every candidate alike: a cell behind an exchanged
one sees other values than it was trained on, and the statistics are recomputed before anything is deployed anyway.
"""
from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from mcunas.tasks.objective import CLASSIFICATION, Objective

Labelled = Sequence[tuple[torch.Tensor, torch.Tensor]]     # batches of (images (N, C, H, W), labels (N,))


@contextmanager
def batch_statistics(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Evaluation mode, but for batch norms, which use the batch and remember nothing of it."""
    norms = []
    for module in modules:
        module.eval()
        norms += [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    kept = [(m, m.momentum, m.num_batches_tracked) for m in norms]
    for m in norms:
        m.momentum, m.num_batches_tracked = 0.0, None
        m.train()
    try:
        with torch.no_grad():
            yield
    finally:
        for m, momentum, tracked in kept:
            m.momentum, m.num_batches_tracked = momentum, tracked
            m.eval()


def loss_of(modules: Sequence[nn.Module], data: Labelled, objective: Objective = CLASSIFICATION) -> float:
    """Mean loss of the chain."""
    with batch_statistics(modules):
        total = sum(float(objective.loss(run(modules, images), labels, plain=True)) for images, labels in data)
    return total / len(data)


def added_losses(modules: Sequence[nn.Module], at: int, candidates: Sequence[nn.Module], data: Labelled,
                 objective: Objective = CLASSIFICATION) -> list[float]:
    """Per candidate: mean loss with it in place `at`, less that of the chain as it is."""
    modules, candidates = copy.deepcopy(list(modules)), list(candidates)
    total = [0.0] * (1 + len(candidates))
    with batch_statistics([*modules, *candidates]):
        for images, labels in data:
            x = run(modules[:at], images)
            for k, module in enumerate([modules[at], *candidates]):
                total[k] += float(objective.loss(run(modules[at + 1:], module(x)), labels, plain=True))
    return [(t - total[0]) / len(data) for t in total[1:]]


def run(modules: Sequence[nn.Module], x: torch.Tensor) -> torch.Tensor:
    for module in modules:
        x = module(x)
    return x
