# SPDX-License-Identifier: Apache-2.0
"""The evaluator that trains a candidate, on any task that brings its objective. Another one is of the same form
(fidelity.py)."""
from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.errors import InputError
from mcunas.search.asktell.fidelity import Fidelity, Figures
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
    genotype -> its network with weights to begin from. board, budget: for firmware."""

    task: Task
    schedule: Schedule
    teacher: nn.Module | None = None
    weights: Callable[[Genotype], nn.Module] | None = None
    board: Board | None = None
    budget: Budget = Budget()

    def __call__(self, genotype: Genotype, fidelity: Fidelity, seed: int) -> Figures:
        """Raises InputError for a fidelity that needs weights or a board which there is not."""
        torch.set_num_threads(1)
        started = time.process_time()
        net, samples = self._trained(genotype, fidelity, seed)
        images = self.task.validation[:fidelity.images]
        if fidelity.kind in ("int8", "board"):
            figures = self._integer(net, fidelity.kind, images)
        else:
            figures = {"accuracy": score(net, self.task, images)}
        return {**figures, "samples": samples, "cpu_seconds": time.process_time() - started}

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
        from mcunas.quantize.qat import FakeQuantized

        calibration, _ = tensors(self.task, self.task.train[:CALIBRATION_IMAGES])
        plain = collapsed(net).to(memory_format=torch.contiguous_format).eval()
        graph = FakeQuantized(plain, calibration, self.task.input_quant, self.task.name).export()
        if kind == "int8":
            return {"accuracy": measures(graph, self.task, images)[self.task.objective.metric]}
        if self.board is None:
            raise InputError("fidelity 'board' needs a board")
        from mcunas.search.asktell.on_board import measured

        return measured(graph, self.board, self.budget, images)
