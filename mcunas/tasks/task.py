# SPDX-License-Identifier: Apache-2.0
"""What a task is: images on the deployed input's int8 grid, labels, three splits that never change, and what for."""
from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mcunas.tasks.augment import Augment
from mcunas.tasks.objective import CLASSIFICATION, Objective
from mcunas.tasks.schedule import Schedule


@dataclass(frozen=True, eq=False)
class Split:
    """images: int8 (N, H, W, C); labels: int64 (N,), or what else the task's objective reads, (N, ...)."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, part: slice) -> Split:
        return Split(self.images[part], self.labels[part])


@dataclass(frozen=True, eq=False)
class Task:
    """input_scale, input_zero_point: real = scale * (q - zero_point) for every image; the network's input tensor.

    start, options: the starting net (mcunas.space) and its arguments; schedule: how it is trained. Both are what a
    search takes when it is told nothing else. objective: loss, decoding of outputs, metric.
    The validation split may steer choices; the test split is read once per arm, at the end (mcunas.tasks.test_reads).
    """

    name: str
    classes: int
    train: Split
    validation: Split
    test: Split
    input_scale: float
    input_zero_point: int
    augment: Augment = Augment()
    start: str = "residual"
    options: dict[str, Any] = field(default_factory=dict)
    schedule: Schedule = Schedule()
    objective: Objective = CLASSIFICATION

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return tuple(self.train.images.shape[1:])

    @property
    def input_quant(self) -> tuple[float, int]:
        return self.input_scale, self.input_zero_point

    def digest(self) -> str:
        """SHA-256 of all splits and of how the images are scaled."""
        total = hashlib.sha256(repr((self.input_quant, self.classes)).encode())
        for split in (self.train, self.validation, self.test):
            total.update(repr(split.images.shape).encode() + split.images.tobytes() + split.labels.tobytes())
        return total.hexdigest()

    def sealed(self) -> Task:
        """The task without its test split: what a search sees while it still chooses."""
        return replace(self, test=self.test[:0])

    def real(self, images: np.ndarray) -> np.ndarray:
        """int8 (N, H, W, C) -> float32 (N, C, H, W), what a torch network sees."""
        values = (images.astype(np.float32) - self.input_zero_point) * np.float32(self.input_scale)
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2))
