# SPDX-License-Identifier: Apache-2.0
"""One acceleration in progress: the teacher and its cells, the choice once it is made, and a checkpoint that resumes."""
from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.device.alone import simulated
from mcunas.prune.sized import as_deployed, narrowed
from mcunas.search.lana.candidates import Candidate, pool, widths_of
from mcunas.search.lana.prices import ChainPrices
from mcunas.search.nas.run import sgd
from mcunas.search.own import demand_matching, structure_of
from mcunas.search.state import Progress, State
from mcunas.space import Genotype
from mcunas.space import space as spaces
from mcunas.space.blocks.collapsible import collapsed
from mcunas.space.cells import TEACHER, Cell, Chain, cells_of, cells_of_space
from mcunas.space.genotype import moved_slots, weights_digest
from mcunas.space.space import Space
from mcunas.tasks import Schedule, Task
from mcunas.tasks.training import steps_per_epoch


class LanaRun(State):
    """start: the teacher's genotype. dense: the teacher. teacher: see mcunas.search.teacher. chosen: the accelerated
    network's genotype, once it is known; net, optimizer: of its fine-tuning."""

    def __init__(self, task: Task, board: Board, budget: Budget, start: Genotype, schedule: Schedule, seed: int, out: Path,
                 progress: Progress | None, settings: dict[str, Any]) -> None:
        super().__init__(task, board, budget, "lana", schedule, seed, out, progress, settings)
        self.start = start
        self.teacher: dict[str, Any] = {}
        self.chosen: Genotype | None = None
        self.net: nn.Module | None = None
        self.optimizer: torch.optim.Optimizer | None = None
        torch.manual_seed(seed)
        self.dense = start.build_dense().eval()
        demand_matching(self.dense, task, start.start)
        self._begun_from = [task.digest(), weights_digest(self.dense), *structure_of(self.dense, task, start)]
        self.space: Space | None = spaces.of_genotype(start) if start.is_of_space else None
        self.cells = self.cut(self.dense)
        self.pools = tuple(self._pool(cell) for cell in self.cells)
        self.prices = ChainPrices(self.cells, self.pools, board, budget.ram_bytes, simulated)

    def cut(self, net: nn.Module) -> list[Cell]:
        """Cells of a copy; what was expanded for training has collapsed."""
        net = collapsed(net)
        return cells_of_space(net, self.space) if self.space else cells_of(net, self.task.input_shape)

    def teach(self, net: nn.Module) -> None:
        """The teacher's weights are known: those of its cells that stay are these."""
        self.dense = net.eval()
        self.cells = self.cut(net)
        priced = self.prices
        self.prices = ChainPrices(self.cells, self.pools, self.board, self.budget.ram_bytes, priced.simulator)
        self.prices.table = priced.table        # shapes are the same
        self.prices.calls, self.prices.cpu_seconds = priced.calls, priced.cpu_seconds

    def _pool(self, cell: Cell) -> tuple[Candidate, ...]:
        """In a space a slot has its own options, of which the teacher's is one."""
        asked, narrow = self.settings["blocks"], self.settings["narrow"]
        if self.space is None:
            return pool(cell, asked, narrow)
        if cell.context is None:
            return (Candidate(TEACHER),)
        slot = self.space.slot(cell.name)
        found = pool(cell, [o for o in slot.options if asked is None or o in asked], narrow)
        own = Candidate(self.start.choices[cell.name])          # fresh, it would only be a worse teacher
        return (found[0], *(c for c in found if c.option != TEACHER and c != own))

    @property
    def samples_per_epoch(self) -> int:
        return steps_per_epoch(self.task, self.schedule) * self.schedule.batch

    def genotype_of(self, candidates: Sequence[Candidate]) -> Genotype:
        """What a choice is called: a network of the teacher's space, or the teacher's cells with blocks between them."""
        start, choices, widths = self.start, {}, dict(self.start.widths)
        for cell, candidate in zip(self.cells, candidates, strict=True):
            if self.space and cell.context is None:
                continue
            own = candidate.option == TEACHER
            choices[cell.name] = start.choices[cell.name] if self.space and own else candidate.option
            if not own:
                widths.pop(cell.name, None)
            widths |= widths_of(cell, candidate)
        return Genotype(start.start, start.options, start.input_shape, start.classes, widths, choices)

    def assembled(self, candidates: Sequence[Candidate], modules: Sequence[nn.Module]) -> nn.Module:
        """The network that `genotype_of` names, with these cells' weights."""
        named = {cell.name: module for cell, module in zip(self.cells, modules)}
        if self.space is None:
            return Chain(named)
        from mcunas.space.net import SpaceNet

        options = {c.name: k.option for c, k in zip(self.cells, candidates) if c.context}
        moved = moved_slots({name: self.start.choices[name] if o == TEACHER else o for name, o in options.items()})
        slots = {moved[name]: named[name] for name in options}
        return SpaceNet(named["stem"], {s.name: slots[s.name] for s in self.space.slots}, named["head"].head)

    def genotype(self) -> Genotype:
        assert self.chosen is not None
        return self.chosen

    def choose(self, genotype: Genotype, net: nn.Module) -> None:
        """Fix the network that is fine-tuned."""
        self.chosen, self.net = genotype, net
        self.optimizer = sgd(list(net.parameters()), self.schedule)

    def end_epoch(self, started: float, figures: dict[str, float]) -> None:
        """Book an epoch of fine-tuning, show it, save it. started: time.process_time() at its beginning."""
        self.book("finetune", started, self.samples_per_epoch, figures)
        self.progress("finetune", self.epoch, self.schedule.finetune_epochs, figures)
        self.save()

    def origin(self) -> tuple[Genotype, list[str]]:
        return self.start, self._begun_from

    def held(self) -> dict[str, Any]:
        tuned = {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict()} if self.net else {}
        return {"teacher": self.teacher, "chosen": json.dumps(self.chosen.fields()) if self.chosen else "", **tuned}

    def take(self, state: dict[str, Any]) -> None:
        self.teacher = state["teacher"]
        if state["chosen"]:
            genotype = Genotype.of_fields(json.loads(state["chosen"]))
            net = as_deployed(genotype)
            narrowed(net, genotype)
            self.choose(genotype, net)
            self.net.load_state_dict(state["net"])
            self.optimizer.load_state_dict(state["optimizer"])
