# SPDX-License-Identifier: Apache-2.0
"""One search for widths in progress: network, channel groups, and a checkpoint per epoch that resumes to the same result."""
from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.device.alone import simulated
from mcunas.errors import InputError
from mcunas.graph.torch_lower import lower
from mcunas.prune.resources import Resources
from mcunas.prune.sized import as_deployed, narrowed
from mcunas.prune.skeleton import skeleton_of
from mcunas.prune.slicing import slice_to
from mcunas.search.events import scalars
from mcunas.search.nas.run import sgd
from mcunas.search.own import demand_groups, demand_matching, demand_trainable, structure_of
from mcunas.search.state import Progress, State
from mcunas.space import Genotype
from mcunas.space.genotype import weights_digest
from mcunas.tasks import Schedule, Task
from mcunas.tasks.training import batches, cosine, steps_per_epoch


def start_of(task: Task, start: str | None = None, options: dict | None = None) -> Genotype:
    """The network to start from. start: its name, or a genotype.json; None = the task's. Raises InputError."""
    if start is None:
        start, options = task.start, {**task.options, **(options or {})}
    elif start.endswith(".json"):
        if options:
            raise InputError("a genotype has no options to change", where=start, fix="leave them out")
        return Genotype.load(Path(start))
    options = json.loads(json.dumps(options or {}))         # as a file holds them
    return Genotype(start, options, task.input_shape, task.classes, {})


class Run(State):
    """A search for widths. teacher: see mcunas.search.teacher."""

    def __init__(self, task: Task, board: Board, budget: Budget, method: str, start: Genotype, schedule: Schedule,
                 seed: int, out: Path, progress: Progress | None, settings: dict[str, Any]) -> None:
        super().__init__(task, board, budget, method, schedule, seed, out, progress, settings)
        self.start = start
        self.teacher: dict[str, Any] = {}
        self.is_projected = False
        torch.manual_seed(seed)
        self.net = as_deployed(start)
        demand_matching(self.net, task, start.start)
        demand_trainable(self.net, start.start)
        self.begun_from = (task.digest(), weights_digest(self.net), *structure_of(self.net, task, start))
        height, width, depth = task.input_shape
        example = torch.zeros(1, depth, height, width)
        self.dense_channels = self.channels = narrowed(self.net, start)
        demand_groups(self.channels, start.start)
        skeleton = skeleton_of(lower(self.net.eval(), example, task.name), self.channels)
        self.resources = Resources(skeleton, board, budget.ram_bytes, simulated)
        self.optimizer = self.new_optimizer()

    def new_optimizer(self) -> torch.optim.Optimizer:
        return sgd(list(self.net.parameters()), self.schedule)

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(g.channels for g in self.channels.groups)

    @property
    def dense_widths(self) -> tuple[int, ...]:
        return tuple(g.channels for g in self.dense_channels.groups)

    @property
    def samples_per_epoch(self) -> int:
        return steps_per_epoch(self.task, self.schedule) * self.schedule.batch

    def genotype(self) -> Genotype:
        names = {g.name: g.channels for g in self.channels.groups}
        return replace(self.start, widths={**self.start.widths, **names}, branches=self.facts.get("branches", {}))

    def batches(self, optimizer: torch.optim.Optimizer | None = None) -> Iterator[tuple[float, torch.Tensor, torch.Tensor]]:
        """(epoch with its fraction, images, labels) of the present epoch. The network trains; the rate, of the run's own
        optimizer by default, is its cosine."""
        steps = steps_per_epoch(self.task, self.schedule)
        self.net.train()
        for step, (images, labels) in enumerate(batches(self.task, self.schedule, self.seed, self.epoch)):
            now = self.epoch + step / steps
            for group in (optimizer or self.optimizer).param_groups:
                group["lr"] = cosine(now / self.schedule.float_epochs, self.schedule.rate)
            yield now, images, labels

    def origin(self) -> tuple[Genotype, list[str]]:
        return self.start, list(self.begun_from)

    def end_epoch(self, phase: str, started: float, figures: dict[str, Any]) -> None:
        """Book an epoch, show it, save it. started: time.process_time() at its beginning."""
        self.book(phase, started, self.samples_per_epoch, {"widths": list(self.widths), **figures})
        done = sum(entry["phase"] == phase for entry in self.history)
        last = self.schedule.float_epochs if phase == "finetune" else self.schedule.prune_epochs
        self.progress(phase, done, done + last - self.epoch, figures)
        self.save()

    def curves(self, entry: dict[str, Any]) -> dict[str, float]:
        ops = [op.kind for op in self.resources.skeleton.graph.ops]
        return scalars(entry, [g.name for g in self.channels.groups], ops)

    def held(self) -> dict[str, Any]:
        return {"widths": list(self.widths), "net": self.net.state_dict(), "optimizer": self.optimizer.state_dict(),
                "is_projected": self.is_projected, "teacher": self.teacher}

    def take(self, state: dict[str, Any]) -> None:
        self.reshape(state["widths"])
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.is_projected, self.teacher = state["is_projected"], state["teacher"]

    def reshape(self, widths: list[int] | tuple[int, ...]) -> None:
        """Give the network integer widths, keeping the first channels of each group; a fresh optimizer."""
        self.channels = slice_to(self.net, self.channels, list(widths))
        self.optimizer = self.new_optimizer()
