# SPDX-License-Identifier: Apache-2.0
"""The evaluator that trains a candidate, on any task that brings its objective. Another one is of the same form
(fidelity.py)."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.errors import InputError
from mcunas.graph import Graph
from mcunas.search.asktell.fidelity import Fidelity, Figures
from mcunas.search.asktell.timed import seconds, timed
from mcunas.search.nas.run import faster, sgd
from mcunas.search.teacher import taught_by
from mcunas.space import Genotype
from mcunas.space.blocks.collapsible import collapsed
from mcunas.tasks import Schedule, Task
from mcunas.tasks.training import recalibrate, score, tensors, train_shortly

CALIBRATION_IMAGES = 256


@dataclass(frozen=True, eq=False)
class ByTraining:
    """task: without its test split. teacher: in evaluation mode; then students learn from its answers, too. weights:
    genotype -> its network with weights to begin from. board, budget: for firmware. is_timed: with what the board's core
    executes (timed.py)."""

    task: Task
    schedule: Schedule
    teacher: nn.Module | None = None
    weights: Callable[[Genotype], nn.Module] | None = None
    board: Board | None = None
    budget: Budget = Budget()
    is_timed: bool = False

    def __call__(self, genotype: Genotype, fidelity: Fidelity, seed: int) -> Figures:
        """Raises InputError for a fidelity that needs weights or a board which there is not."""
        torch.set_num_threads(1)
        started = seconds()
        net, samples = self._trained(genotype, fidelity, seed)
        images = self.task.validation[:fidelity.images]
        if fidelity.kind in ("int8", "board"):
            figures = self._integer(net, fidelity.kind, images)
        else:
            figures = {"accuracy": score(net, self.task, images)}
        if self.is_timed and fidelity.kind != "board":
            figures |= timed(self._graph(net), self._board(), self.budget.ram_bytes)
        return {**figures, "samples": samples, "cpu_seconds": seconds() - started}

    def _trained(self, genotype: Genotype, fidelity: Fidelity, seed: int) -> tuple[nn.Module, int]:
        torch.manual_seed(seed)
        if fidelity.kind in ("supernet", "remapped") and self.weights is None:
            raise InputError(f"fidelity {fidelity.kind!r} needs weights to begin from")
        inherits = self.weights is not None and fidelity.kind != "scratch"
        net = faster(self.weights(genotype) if inherits else genotype.build_dense())
        if fidelity.kind == "supernet":
            recalibrate(net, self.task, CALIBRATION_IMAGES)
            return net, 0
        loss_of = taught_by(self.teacher, self.task.objective) if self.teacher else None
        return net, train_shortly(net, sgd(list(net.parameters()), self.schedule), self.task, self.schedule, seed,
                                  fidelity.epochs, loss_of)

    def _integer(self, net: nn.Module, kind: str, images: Any) -> Figures:
        from mcunas.quantize.model import measures

        graph = self._graph(net)
        if kind == "int8":
            return {"accuracy": measures(graph, self.task, images)[self.task.objective.metric]}
        from mcunas.search.asktell.on_board import measured

        return measured(graph, self._board(), self.budget, images, self.task.objective)

    def _graph(self, net: nn.Module) -> Graph:
        """Quantized without further training."""
        from mcunas.quantize.qat import FakeQuantized

        calibration, _ = tensors(self.task, self.task.train[:CALIBRATION_IMAGES])
        plain = collapsed(net).to(memory_format=torch.contiguous_format).eval()
        return FakeQuantized(plain, calibration, self.task.input_quant, self.task.name).export()

    def _board(self) -> Board:
        if self.board is None:
            raise InputError("fidelity 'board' needs a board")
        return self.board
