# SPDX-License-Identifier: Apache-2.0
"""One search in a space in progress: what a method's `choose(run)` gets, and what the checkpoint holds.

`epoch` counts the method's own epochs until the genotype is chosen, then those of its training as well. A method keeps what
it needs to go on in `notes` (tensors, numbers, strings, lists and dicts) and ends each epoch with `end_epoch`.
"""
from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.device.alone import simulated
from mcunas.errors import InputError
from mcunas.search.machines import Machines
from mcunas.search.nas.splits import Splits, split
from mcunas.search.state import Progress, State
from mcunas.space import Genotype
from mcunas.space.price import Prices
from mcunas.space.space import Space
from mcunas.tasks import Schedule, Task
from mcunas.tasks.training import batches, generator, steps_per_epoch

ARCH_SHARE = 0.2            # of the training images, for the architecture (FBNet)
ARCH_STREAM = 300_000       # of the random streams: far from those of the weights, of teachers and of quantization
NOISE_STREAM = 400_000

Batches = Iterator[tuple[torch.Tensor, torch.Tensor]]


class NasRun(State):
    """task: without its test split. space: on the task's input. prices: on the board. splits: of the training images.

    feasible: slot -> options that can fit, known once `driver` has asked. machines: for methods that ask and tell. teacher:
    see mcunas.search.teacher. chosen: the genotype, once it is. net, optimizer: of its training. begun: the chosen network
    with the weights that it is trained from; None: first weights.
    """

    def __init__(self, task: Task, board: Board, budget: Budget, method: str, space: Space, schedule: Schedule, seed: int,
                 out: Path, progress: Progress | None, settings: dict[str, Any]) -> None:
        super().__init__(task, board, budget, method, schedule, seed, out, progress, settings)
        self.space = space
        self.prices = Prices(space, board, budget.ram_bytes, simulated)
        self.splits: Splits = split(task, ARCH_SHARE)
        self.feasible: dict[str, tuple[str, ...]] = {}
        self.machines = Machines()
        self.teacher: dict[str, Any] = {}
        self.chosen: Genotype | None = None
        self.chosen_at = 0
        self.net: nn.Module | None = None
        self.begun: nn.Module | None = None
        self.optimizer: torch.optim.Optimizer | None = None
        self._digest = task.digest()

    @property
    def search_epochs(self) -> int:
        return self.schedule.prune_epochs

    @property
    def finalists(self) -> int:
        """Networks that are trained shortly in the end (finals.py); 0 = there is no such stage."""
        asked = self.settings
        if "finals" not in asked:
            return 0
        count = int((asked["finals"] * self.search_epochs - self._ranking_epochs) / asked["candidate_epochs"])
        return count if count > 1 else 0

    @property
    def supernet_epochs(self) -> int:
        """Epochs that are left before the last stage."""
        if not self.finalists:
            return self.search_epochs
        return self.search_epochs - self._ranking_epochs - self.finalists * self.settings["candidate_epochs"]

    @property
    def _ranking_epochs(self) -> int:
        return int("candidates" in self.settings)

    @property
    def samples_per_epoch(self) -> int:
        return steps_per_epoch(self.task, self.schedule) * self.schedule.batch

    @property
    def train_epochs(self) -> int:
        return self.schedule.finetune_epochs

    def weight_batches(self, epoch: int) -> Batches:
        """An epoch of the part for weights: its share of Schedule.epoch_samples."""
        return batches(self.splits.weights, self._part(1 - ARCH_SHARE), self.seed, epoch)

    def arch_batches(self, epoch: int) -> Batches:
        """An epoch of the part for the architecture."""
        return batches(self.splits.arch, self._part(ARCH_SHARE), self.seed, ARCH_STREAM + epoch)

    @property
    def weight_steps(self) -> int:
        """Steps in `weight_batches`."""
        return steps_per_epoch(self.splits.weights, self._part(1 - ARCH_SHARE))

    @property
    def arch_steps(self) -> int:
        return steps_per_epoch(self.splits.arch, self._part(ARCH_SHARE))

    def _part(self, share: float) -> Schedule:
        samples = self.schedule.epoch_samples
        return replace(self.schedule, epoch_samples=max(round(samples * share), self.schedule.batch) if samples else None)

    def noise(self, epoch: int) -> torch.Generator:
        """For what is drawn in an epoch besides the batches: gates, candidates."""
        return generator(self.seed, NOISE_STREAM + epoch)

    def origin(self) -> tuple[Genotype, list[str]]:
        space = self.space
        described = json.dumps([asdict(s) for s in space.slots] + [space.stem], sort_keys=True)
        return Genotype(space.start, space.changes, space.input_shape, space.classes), [self._digest, described]

    def demand_option(self, option: str) -> None:
        """Raise InputError unless some slot can take the option."""
        if not any(option in options for options in self.feasible.values()):
            known = sorted({o for options in self.feasible.values() for o in options})
            raise InputError(f"no slot can take {option!r}", fix=f"use one of {', '.join(known)}")

    def genotype(self) -> Genotype:
        """The chosen one. Only once it is."""
        assert self.chosen is not None
        return self.chosen

    def choose(self, genotype: Genotype, net: nn.Module) -> None:
        """Fix the genotype and the network, with first weights, that is trained for it."""
        self.chosen, self.chosen_at, self.notes = genotype, self.epoch, {}
        self._train(net)

    def _train(self, net: nn.Module) -> None:
        self.net = faster(net)
        self.optimizer = sgd(list(net.parameters()), self.schedule)

    def end_epoch(self, phase: str, started: float, figures: dict[str, Any], samples: int, option_forwards: int = 0,
                  total: int | None = None) -> None:
        """Book an epoch, show it, save it. started: time.process_time() at its beginning; figures: numbers by name.

        total: epochs of this phase in all, by default what the schedule says.
        """
        self.book(phase, started, samples, figures, option_forwards)
        done = sum(entry["phase"] == phase for entry in self.history)
        self.progress(phase, done, total or (self.train_epochs if phase == "train" else self.search_epochs), figures)
        self.save()

    def held(self) -> dict[str, Any]:
        trained = {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict()} if self.net else {}
        teacher = {"teacher": self.teacher} if self.teacher else {}
        return {**teacher, "feasible": {k: list(v) for k, v in self.feasible.items()}, "chosen_at": self.chosen_at,
                "exact_prices": self.prices.calls,
                "chosen": json.dumps(self.chosen.fields()) if self.chosen else "", **trained}

    def take(self, state: dict[str, Any]) -> None:
        self.feasible = {k: tuple(v) for k, v in state["feasible"].items()}
        self.chosen_at = state["chosen_at"]
        self.teacher = state.get("teacher", {})
        self.prices.calls = state.get("exact_prices", 0)
        if state["chosen"]:
            self.chosen = Genotype.of_fields(json.loads(state["chosen"]))
            self._train(self.chosen.build_dense())
            self.net.load_state_dict(state["net"])
            self.optimizer.load_state_dict(state["optimizer"])


def faster(net: nn.Module) -> nn.Module:
    """The same network with its weights in the order in which these small convolutions run fastest (30 % on one thread)."""
    return net.to(memory_format=torch.channels_last)


def sgd(parameters: list[nn.Parameter], schedule: Schedule) -> torch.optim.SGD:
    """The optimizer of all weights, of supernets and of what is found."""
    return torch.optim.SGD(parameters, lr=schedule.rate, momentum=0.9, nesterov=True, weight_decay=schedule.weight_decay)
