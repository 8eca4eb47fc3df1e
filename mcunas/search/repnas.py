# SPDX-License-Identifier: Apache-2.0
"""RepNAS: which branches each convolution trains with, of a number fixed for the whole network (Zhang et al., 2109.03508).

The network that is deployed does not change, so there is no budget to trade: the start net, narrowed uniformly where it does
not fit, trains in branches (mcunas.space.branches) and is fused to its own form at the end. One stage: weights and logits
learn from the same batches, and the kept branches go on with the weights they have.

    first 30 % of Schedule.prune_epochs    logits frozen, but for the last epoch: noise draws the branches of each batch
    the rest of prune_epochs               logits too, by straight-through factors
    Schedule.finetune_epochs               the branches of the largest logits, batch norm statistics from anew

Rates of the logits are ours: schedules here have a hundredth of the paper's steps.
"""
from __future__ import annotations

import time

import torch

from mcunas.errors import InputError
from mcunas.search import uniform
from mcunas.search.nas.run import sgd
from mcunas.search.run import Run
from mcunas.search.teacher import distilled
from mcunas.space.branches import Branched
from mcunas.space.branches.branched import ALL, HAND_MADE, PLAIN
from mcunas.tasks import ddp
from mcunas.tasks.training import cosine, generator, number, recalibrate, score, steps_per_epoch

# branches: "searched"; or what it is compared with: "random" of the same number (placebo), and in every layer "all" that
# stand there, the "hand-made" ones of DiverseBranchBlock, the convolution and the "identity", or the "plain" convolution.
# kept: share of all branches, the paper's is 0.34. rate: Adam's on the logits. own: first logit of the k x k convolution
# that stands there already, the paper's is 0. In narrow networks and a thousand steps, layers that miss it in some batches
# lose more than other branches bring: a chain of 8 convolutions (Fashion-MNIST, validation) has 83.6 % with 4 and 0.34 kept,
# and 84.9 % with 10 and 0.25.
SETTINGS = {"branches": "searched", "kept": 0.25, "rate": 0.1, "own": 10.0}
FIXED = {"all": (ALL, True), "hand-made": (HAND_MADE, False), "identity": (PLAIN, True), "plain": (PLAIN, False)}
FROZEN_SHARE = 0.3          # of the search epochs
DECAY = 5e-4
STREAM = 500_000            # of the random streams: far from those of batches, teachers and quantization


def shape(run: Run) -> None:
    """Train `run.net` in branches for all float epochs and fuse it; resumes where `run` stands."""
    if run.is_projected:
        return
    _demand(run)
    if not run.notes:
        uniform.shape(run)
        run.is_projected = False        # widths are, the training is not
    height, width, depth = run.task.input_shape
    kept = torch.get_rng_state()
    torch.manual_seed(run.seed)
    net = Branched(run.net, torch.zeros(1, depth, height, width), run.settings["own"])
    weights = sgd(net.weights(), run.schedule)
    arch = torch.optim.Adam(net.arch(), run.settings["rate"], (0.5, 0.999), weight_decay=DECAY)
    if run.settings["branches"] in FIXED:
        net.keep(*FIXED[run.settings["branches"]])
    if run.notes:
        net.load_state_dict(run.notes["net"])
        weights.load_state_dict(run.notes["weights"])
        arch.load_state_dict(run.notes["arch"])
        torch.set_rng_state(kept)
    while run.epoch < run.schedule.float_epochs:
        _epoch(run, net, weights, arch)
    net.take(run.notes["masks"])
    _finish(run, net)


def _demand(run: Run) -> None:
    settings, known = run.settings, ("searched", "random", *FIXED)
    if settings["branches"] not in known:
        raise InputError(f"repnas has no branches {settings['branches']!r}", fix=f"use one of {', '.join(known)}")
    if not 0 < settings["kept"] <= 1:
        raise InputError(f"kept is {settings['kept']}, a share of all branches", fix="give a number in 0..1, like 0.34")
    if settings["branches"] not in FIXED and run.schedule.prune_epochs < 1:
        raise InputError(f"repnas has no epoch to find {settings['branches']} branches in", where="prune_epochs",
                         fix=f"give at least 1, or one of the branches {', '.join(FIXED)}")


def _epoch(run: Run, net: Branched, weights: torch.optim.Optimizer, arch: torch.optim.Optimizer) -> None:
    started, settings, schedule = time.process_time(), run.settings, run.schedule
    draws = settings["branches"] not in FIXED
    is_search = draws and run.epoch < schedule.prune_epochs
    if is_search:
        frozen = min(FROZEN_SHARE * schedule.prune_epochs, schedule.prune_epochs - 1)
        learns = settings["branches"] == "searched" and run.epoch >= frozen
        loss = _search(run, net, weights, arch if learns else None)
        net.draw(settings["kept"], None if learns else generator(run.seed, STREAM - 1))
    else:
        if draws:
            net.take(run.notes["masks"])
        if draws and run.epoch == schedule.prune_epochs:
            recalibrate(net, run.task)
        loss = _train(run, net, weights)
    validation = score(net, run.task, run.task.validation)
    run.notes = {"net": net.state_dict(), "weights": weights.state_dict(), "arch": arch.state_dict(), "masks": net.masks()}
    run.end_epoch("search" if is_search else "finetune", started, {"loss": loss, "validation": validation})


def _search(run: Run, net: Branched, weights: torch.optim.Optimizer, arch: torch.optim.Optimizer | None) -> float:
    """An epoch in which every batch has its own branches; logits move where `arch` is given. Returns the mean loss."""
    random, steps, total = generator(run.seed, STREAM + run.epoch), steps_per_epoch(run.task, run.schedule), 0.0
    net.train()
    for now, images, labels in run.batches(weights):
        net.draw(run.settings["kept"], random, learns=arch is not None)
        loss = run.task.objective.loss(net(images), labels)
        _descend(loss, weights, arch)
        if arch is not None:
            arch.param_groups[0]["weight_decay"] = cosine(now / run.schedule.prune_epochs, DECAY)
            arch.step()
        total += number(loss)
    return ddp.mean(total / max(steps, 1))


def _train(run: Run, net: Branched, weights: torch.optim.Optimizer) -> float:
    """An epoch of ordinary training of the kept branches. Returns the mean loss."""
    loss_of = distilled(run) if run.epoch >= run.schedule.prune_epochs else None
    steps, total = steps_per_epoch(run.task, run.schedule), 0.0
    net.train()
    for _, images, labels in run.batches(weights):
        outputs = net(images)
        loss = loss_of(images, outputs, labels) if loss_of else run.task.objective.loss(outputs, labels)
        _descend(loss, weights, None)
        total += number(loss)
    return ddp.mean(total / max(steps, 1))


def _descend(loss: torch.Tensor, weights: torch.optim.Optimizer, arch: torch.optim.Optimizer | None) -> None:
    weights.zero_grad(set_to_none=True)
    if arch is not None:
        arch.zero_grad(set_to_none=True)
    loss.backward()
    weights.step()


@torch.no_grad()
def _finish(run: Run, net: Branched) -> None:
    """Give `run.net` the fused weights, and say in the facts what was kept and how far fusion is from the branches."""
    run.net.load_state_dict(net.eval().fused().state_dict())
    images = torch.from_numpy(run.task.real(run.task.validation.images[:64]))
    wanted = net(images)
    error = (wanted - run.net.eval()(images)).abs().max() / wanted.abs().max()
    kept = sum(bits.bit_count() for bits in net.masks().values())
    run.facts |= {"branches": net.masks(), "kept_branches": kept, "all_branches": net.total, "fusion_error": float(error)}
    run.is_projected, run.notes = True, {}
