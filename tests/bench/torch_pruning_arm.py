# SPDX-License-Identifier: Apache-2.0
"""Torch-Pruning (DepGraph, Fang et al., CVPR 2023) as an arm: dense training, one cut, the same fine-tuning as ours.

Its knob is the pruning ratio; bisection on it until the deployed network holds our exact budgets. Only where the package
is installed: it is a peer, not a dependency.
"""
from __future__ import annotations

import copy
import time

import torch
import torch.nn.functional as F
from torch import nn

from mcunas.errors import DoesNotFit
from mcunas.prune.groups import find_groups
from mcunas.search.run import Run
from mcunas.tasks.training import LABEL_SMOOTHING, accuracy, batches, cosine, recalibrate, steps_per_epoch, train_epoch

SETTINGS = {"importance": "l2"}
HALVINGS = 12


def shape(run: Run) -> None:
    """Train the dense net for the pruning epochs, then cut it to the widest ratio that fits."""
    steps, total = steps_per_epoch(run.task, run.schedule), run.schedule.float_epochs
    while run.epoch < run.schedule.prune_epochs:
        started, epoch = time.process_time(), run.epoch
        loss = train_epoch(run.net, run.optimizer, batches(run.task, run.schedule, run.seed, epoch),
                           lambda step, epoch=epoch: cosine((epoch + step / steps) / total, run.schedule.rate))
        figures = {"loss": loss, "validation": accuracy(run.net, run.task, run.task.validation)}
        if run.epoch + 1 == run.schedule.prune_epochs:
            _cut(run)
        run.end_epoch("prune", started, figures)


def _cut(run: Run) -> None:
    low, high, best = 0.0, 1.0, None
    for _ in range(HALVINGS):
        ratio = (low + high) / 2
        net = _pruned(run, ratio)
        widths = [net.get_submodule(g.modules[0]).weight.shape[0] for g in run.channels.groups]
        if run.resources.exact(widths).fits(run.budget):
            high, best = ratio, net
        else:
            low = ratio
    if best is None:
        raise DoesNotFit("no pruning ratio fits the budget", where="torch-pruning")
    height, width, depth = run.task.input_shape
    run.net, run.facts["pruning_ratio"] = best, high
    run.channels = find_groups(best, torch.zeros(1, depth, height, width))
    run.optimizer = run.new_optimizer()
    recalibrate(run.net, run.task)
    run.is_projected = True


def _pruned(run: Run, ratio: float) -> nn.Module:
    import torch_pruning as tp

    net = copy.deepcopy(run.net).eval()
    height, width, depth = run.task.input_shape
    taylor = run.settings["importance"] == "taylor"
    importance = tp.importance.GroupTaylorImportance() if taylor else tp.importance.GroupMagnitudeImportance(p=2)
    last = [m for m in net.modules() if isinstance(m, nn.Linear)][-1]
    pruner = tp.pruner.BasePruner(net, torch.zeros(1, depth, height, width), importance=importance, pruning_ratio=ratio,
                                  global_pruning=True, max_pruning_ratio=0.97, ignored_layers=[last])
    if taylor:
        for images, labels in batches(run.task, run.schedule, run.seed, run.epoch):
            F.cross_entropy(net(images), labels, label_smoothing=LABEL_SMOOTHING).backward()
    pruner.step()
    return net
