# SPDX-License-Identifier: Apache-2.0
"""Torch-Pruning (DepGraph, Fang et al., CVPR 2023) as an arm: dense training, one cut, the same fine-tuning as ours.

Its knob is the pruning ratio, turned until the deployed network holds our exact budgets. Only where the package is
installed: it is a peer, not a dependency.
"""
from __future__ import annotations

import copy
import json
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from mcunas.atomic import write_file
from mcunas.errors import DoesNotFit
from mcunas.prune.groups import find_groups
from mcunas.search.run import Run
from mcunas.search.state import CHECKPOINT, Ledger
from mcunas.tasks.objective import LABEL_SMOOTHING
from mcunas.tasks.training import batches, cosine, recalibrate, score, steps_per_epoch, train_epoch

SETTINGS = {"importance": "l2"}


def shape(run: Run) -> None:
    """Train the dense net for the pruning epochs, then cut it to the least ratio that fits.

    Its arms of one seed differ from the cut on, so the first one's dense net is kept for the others, with its ledger.
    """
    steps, total, last = steps_per_epoch(run.task, run.schedule), run.schedule.float_epochs, run.schedule.prune_epochs - 1
    trained = run.out.parent / f"torch-pruning-dense-{run.seed}"
    if run.epoch < last and (trained / CHECKPOINT).exists():
        _take(run, trained)
    while run.epoch <= last:
        started, epoch = time.process_time(), run.epoch
        loss = train_epoch(run.net, run.optimizer, batches(run.task, run.schedule, run.seed, epoch),
                           lambda step, epoch=epoch: cosine((epoch + step / steps) / total, run.schedule.rate))
        figures = {"loss": loss, "validation": score(run.net, run.task, run.task.validation)}
        if epoch == last:
            _cut(run)
        run.end_epoch("prune", started, figures)
        if run.epoch == last:
            write_file(trained / CHECKPOINT, (run.out / CHECKPOINT).read_bytes())


def _take(run: Run, folder: Path) -> None:
    """Go on from another arm's checkpoint, as `Run.load` does from the run's own."""
    state = torch.load(folder / CHECKPOINT, weights_only=True)
    run.net.load_state_dict(state["net"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.epoch, run.history, run.ledger = state["epoch"], json.loads(state["history"]), Ledger(**state["ledger"])


def _cut(run: Run) -> None:
    """The least ratio that fits. Not by bisection: near the end the package leaves whole groups alone."""
    trained = copy.deepcopy(run.net).eval()
    for images, labels in batches(run.task, run.schedule, run.seed, run.epoch):
        F.cross_entropy(trained(images), labels, label_smoothing=LABEL_SMOOTHING).backward()
    def fits(permille: int) -> bool:
        net = _pruned(run, trained, permille / 1000)
        widths = [net.get_submodule(g.modules[0]).weight.shape[0] for g in run.channels.groups]
        return run.resources.bound(widths).fits(run.budget) and run.resources.exact(widths).fits(run.budget)

    coarse = next((r for r in range(300, 1000, 10) if fits(r)), None)
    if coarse is None:
        raise DoesNotFit("no pruning ratio fits the budget", where="torch-pruning")
    ratio = next(r for r in range(coarse - 9, coarse + 1) if fits(r)) / 1000
    net = _pruned(run, trained, ratio)
    height, width, depth = run.task.input_shape
    run.net, run.facts["pruning_ratio"] = net, ratio
    run.channels = find_groups(net, torch.zeros(1, depth, height, width))
    run.optimizer = run.new_optimizer()
    recalibrate(run.net, run.task)
    run.is_projected = True


def _pruned(run: Run, trained: nn.Module, ratio: float) -> nn.Module:
    """A copy with its gradients, cut: by one ratio for all groups with l2, else by one threshold over all."""
    import torch_pruning as tp

    net = copy.deepcopy(trained)
    for new, old in zip(net.parameters(), trained.parameters()):
        new.grad = old.grad.clone()
    height, width, depth = run.task.input_shape
    importance = {"l2": lambda: tp.importance.GroupMagnitudeImportance(p=2), "taylor": tp.importance.GroupTaylorImportance,
                  "bn": tp.importance.BNScaleImportance}[run.settings["importance"]]()
    last = [m for m in net.modules() if isinstance(m, nn.Linear)][-1]
    tp.pruner.BasePruner(net, torch.zeros(1, depth, height, width), importance=importance, pruning_ratio=ratio,
                         global_pruning=run.settings["importance"] != "l2", ignored_layers=[last]).step()
    return net
