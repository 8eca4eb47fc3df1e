# SPDX-License-Identifier: Apache-2.0
"""What a task is: images on the deployed input's int8 grid, labels, and three splits that never change."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Split:
    """images: int8 (N, H, W, C); labels: int64 (N,)."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Task:
    """input_scale, input_zero_point: real = scale * (q - zero_point) for every image; the network's input tensor.

    shift_pixels, rotate_degrees, zoom: limits of the random changes made to training images.
    The validation split may steer choices; the test split is read once, at the end.
    """

    name: str
    classes: int
    train: Split
    validation: Split
    test: Split
    input_scale: float
    input_zero_point: int
    shift_pixels: float = 0.0
    rotate_degrees: float = 0.0
    zoom: float = 0.0

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return tuple(self.train.images.shape[1:])

    @property
    def input_quant(self) -> tuple[float, int]:
        return self.input_scale, self.input_zero_point

    def real(self, images: np.ndarray) -> np.ndarray:
        """int8 (N, H, W, C) -> float32 (N, C, H, W), what a torch network sees."""
        values = (images.astype(np.float32) - self.input_zero_point) * np.float32(self.input_scale)
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2))
