# SPDX-License-Identifier: Apache-2.0
"""What a network is trained for and measured by: a task brings its loss, its decoding and its metric.

Training, quantization, the board and reports ask the objective and know no task: outputs are decoded into answers, in the
same arithmetic wherever they come from, and answers are measured against the labels.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch

LABEL_SMOOTHING = 0.05
TEMPERATURE = 4.0       # at which answers are imitated
Quant = tuple[float, int]       # scale, zero point


class Objective(Protocol):
    """metric: the first of what `measure` gives; higher is better.

    head: what a network of a space ends with (space/heads.py).
    """

    @property
    def metric(self) -> str: ...

    @property
    def head(self) -> str: ...

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor, plain: bool = False) -> torch.Tensor:
        """outputs: the network's, as torch has them; labels: of the batch. plain: without what only regularizes."""

    def imitation(self, outputs: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Loss against a teacher's outputs."""

    def decode(self, outputs: np.ndarray, quant: Quant | None) -> np.ndarray:
        """outputs: (N, ...), NHWC, int8 with their (scale, zero point), or float32 and None. Returns answers (N, ...)."""

    def measure(self, answers: np.ndarray, labels: np.ndarray) -> Mapping[str, float]:
        """name of a metric -> its value, 0 to 1; in decibels where units.py says so."""

    def wanted(self, classes: int) -> str:
        """In words, what a network must give for 2 images."""

    def refuses(self, shape: tuple[int, ...], classes: int) -> bool:
        """Whether outputs of this shape (torch's order) for 2 images cannot be used."""

    def on_board(self, shape: tuple[int, ...], quant: Quant) -> Any:
        """How the firmware decodes the deployed output (NHWC, int8) itself (a DetectionHead); None: it does not."""


@dataclass(frozen=True)
class Classification:
    """One label per image: cross entropy, and the share of right answers."""

    metric: str = "accuracy"
    head: str = "classes"

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor, plain: bool = False) -> torch.Tensor:
        import torch.nn.functional as F

        return F.cross_entropy(outputs, labels, label_smoothing=0.0 if plain else LABEL_SMOOTHING)

    def imitation(self, outputs: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Hinton, Vinyals, Dean, arXiv 1503.02531."""
        import torch.nn.functional as F

        said, meant = F.log_softmax(outputs / TEMPERATURE, 1), F.softmax(wanted / TEMPERATURE, 1)
        return TEMPERATURE**2 * F.kl_div(said, meant, reduction="batchmean")

    def decode(self, outputs: np.ndarray, quant: Quant | None) -> np.ndarray:
        return outputs.reshape(len(outputs), -1).argmax(-1)

    def measure(self, answers: np.ndarray, labels: np.ndarray) -> Mapping[str, float]:
        return {self.metric: float((answers == labels).mean())}

    def wanted(self, classes: int) -> str:
        return f"(2, {classes}), one logit per class"

    def refuses(self, shape: tuple[int, ...], classes: int) -> bool:
        return len(shape) != 2 or shape[1] < classes

    def on_board(self, shape: tuple[int, ...], quant: Quant) -> None:
        return None


CLASSIFICATION = Classification()
