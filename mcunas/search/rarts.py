# SPDX-License-Identifier: Apache-2.0
"""RARTS: relaxed single-level search with two networks, each on its half of the data (Xue, Qi, Xin, arXiv 2008.03901).

From the paper: the update of w, its twin and alpha (relaxed.py) on the mixture of all options. Both halves move weights and
alpha, where DARTS gives the weights one half only. At the end alpha is made discrete and the network is trained anew.
Ours: the budget's hinge and a penalty for what stays undecided in alpha's step, weighed like the (lam + 1) task losses
that stand there; steps that shrink like 1/(lam + beta); the exact check and repair. Update "darts" is first-order DARTS
on the same halves, with as many passes.
"""
from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from mcunas.errors import InputError
from mcunas.search.nas import finals
from mcunas.search.nas.figures import by_epochs, of_epoch, progress, undecided
from mcunas.search.nas.run import NasRun, sgd
from mcunas.search.nas.shared import Shared
from mcunas.search.nas.splits import split
from mcunas.search.relaxed import Coupling, FirstOrder, Relaxed
from mcunas.space import Genotype, sampling
from mcunas.space.supernet import Supernet
from mcunas.tasks import Task, ddp
from mcunas.tasks.training import batches, cosine, number, steps_per_epoch

# rate, decay: Adam's on alpha. lam, beta: see relaxed.Coupling. fresh: two more passes per step, for alpha's gradients at
# the weights that the step has made. entropy: weight of the penalty for undecided slots, in the second half of the search.
SETTINGS = {"update": "rarts", "rate": 0.05, "decay": 1e-3, "lam": 10.0, "beta": 10.0, "fresh": False, "entropy": 1.0,
            **finals.SETTINGS}
UPDATES = ("rarts", "darts")
SECOND_STREAM = 500_000     # of the random streams: the twin's batches


def choose(run: NasRun) -> Genotype:
    """Train the twins and their alpha; the best of its likely networks. Resumes where `run` stands."""
    if run.settings["update"] not in UPDATES:
        raise InputError(f"rarts has no update {run.settings['update']!r}", fix=f"use one of {', '.join(UPDATES)}")
    if not run.settings["lam"] + run.settings["beta"]:
        raise InputError("rarts has no step with lam and beta both 0", fix="give one of them a positive number")
    twins = Twins(run)
    return by_epochs(run, twins.shared, lambda: _epoch(run, twins))


class Twins:
    """A supernet, for "rarts" its twin with the same alpha, and the step that moves them."""

    def __init__(self, run: NasRun) -> None:
        settings = run.settings
        self.run, self.shared = run, Shared(run, settings["rate"], settings["decay"])
        self.net, self.twin, self.scale, self.weight_of_cost = self.shared.net, None, 1.0, 1.0
        self.optimizers = [self.shared.weights]
        if settings["update"] == "darts":
            self.search = FirstOrder(self.net.weights(), self.net.arch(), (self.shared.weights, self.shared.arch))
            return
        self.twin = copy.deepcopy(self.net)
        for name, block in self.net.choices().items():
            self.twin.slots[name].alpha = block.alpha
        self.optimizers.append(sgd(self.twin.weights(), run.schedule))
        kept = run.notes.get("twin")
        if kept:
            self.twin.load_state_dict(kept["net"])
            self.optimizers[1].load_state_dict(kept["weights"])
        coupling = Coupling(settings["lam"], settings["beta"])
        self.scale, self.weight_of_cost = 2 / (coupling.lam + coupling.beta), coupling.lam + 1
        self.search = Relaxed(self.net.weights(), self.twin.weights(), self.net.arch(), coupling,  # type: ignore[assignment]
                              (*self.optimizers, self.shared.arch), settings["fresh"])

    def notes(self) -> dict:
        twin = {"twin": {"net": self.twin.state_dict(), "weights": self.optimizers[1].state_dict()}} if self.twin else {}
        return {"shared": self.shared.notes(), **twin}

    @property
    def option_forwards(self) -> int:
        return self.net.option_forwards + (self.twin.option_forwards if self.twin else 0)

    def step(self, first: tuple[torch.Tensor, torch.Tensor], second: tuple[torch.Tensor, torch.Tensor], rate: float,
             at: float) -> tuple[float, float]:
        """first, second: (images, labels) of the two halves. at: progress of the search for alpha. Returns both losses."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * self.scale
        seen: list[float] = []
        task = self.run.task
        return self.search.step(_loss(task, self.net, *first, seen), _loss(task, self.twin or self.net, *second, seen),
                                lambda: self._cost(seen[-1], at))

    def _cost(self, task_loss: float, at: float) -> torch.Tensor:
        probs = self.net.probs()
        expected = self.run.prices.expected(probs, self.net.names())
        self.shared.hinge.begin(ddp.mean(task_loss), expected)
        entropy = self.run.settings["entropy"] * undecided(probs.values(), at)
        return self.weight_of_cost * (self.shared.hinge(expected, at) + entropy)


def _loss(task: Task, net: Supernet, images: torch.Tensor, labels: torch.Tensor,
          seen: list[float]) -> Callable[[], torch.Tensor]:
    def loss() -> torch.Tensor:
        found = task.objective.loss(net(images, net.gates(sampling.mixture)), labels)
        seen.append(number(found))
        return found

    return loss


def _epoch(run: NasRun, twins: Twins) -> None:
    """Halves of the training images in step; alpha moves from the first epoch on, as the weights do."""
    started, ran, passes = time.process_time(), twins.option_forwards, twins.search.passes
    samples = run.schedule.epoch_samples
    halves, schedule = split(run.task, 0.5), replace(run.schedule, epoch_samples=round(samples / 2) if samples else None)
    steps = min(steps_per_epoch(half, schedule) for half in (halves.weights, halves.arch))
    run.prices.anchor(run.space.genotype(twins.net.best()))
    twins.net.train()
    if twins.twin:
        twins.twin.train()
    losses = torch.zeros(2)
    pairs = zip(batches(halves.weights, schedule, run.seed, run.epoch),
                batches(halves.arch, schedule, run.seed, SECOND_STREAM + run.epoch))
    for step, (first, second) in enumerate(pairs):
        now = run.epoch + step / steps
        losses += torch.tensor(twins.step(first, second, cosine(now / run.supernet_epochs, run.schedule.rate),
                                          progress(run, now)))
    loss, second_loss = (ddp.mean(loss / steps) for loss in losses.tolist())
    found = {"loss": loss, "second_loss": second_loss, **of_epoch(run, twins.shared)}
    run.notes = twins.notes()
    run.end_epoch("search", started, found, (twins.search.passes - passes) * run.schedule.batch, twins.option_forwards - ran)
