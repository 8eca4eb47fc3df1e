# SPDX-License-Identifier: Apache-2.0
"""2x super-resolution of Fashion-MNIST: 28x28 images out of 14x14 ones, each pixel of which is the mean of four.

Splits are those of the classification task. The metric is the peak signal-to-noise ratio of bytes against bytes, the mean
over images, so that host and board are compared by what they give and not by what was rounded before.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mcunas.tasks.objective import Quant
from mcunas.tasks.schedule import Schedule
from mcunas.tasks.task import Split, Task

if TYPE_CHECKING:
    import torch

FACTOR = 2
PEAK = 255
LEAST_SQUARE = 1 / 12       # of a difference in bytes: what rounding leaves; an image counts for 58.9 dB at most


@dataclass(frozen=True)
class SuperResolution:
    """Outputs (N, C, H, W), pixels of 0 to 1; labels uint8 (N, H, W, C). size: (H, W) of these."""

    size: tuple[int, int]
    metric: str = "PSNR"
    head: str = "pixels"

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor, plain: bool = False) -> torch.Tensor:
        """Mean absolute difference (Shvetsov et al., arXiv 2208.14839)."""
        return (outputs - labels.permute(0, 3, 1, 2).to(outputs.dtype) / PEAK).abs().mean()

    def imitation(self, outputs: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Mean absolute difference."""
        return (outputs - wanted).abs().mean()

    def decode(self, outputs: np.ndarray, quant: Quant | None) -> np.ndarray:
        """Bytes, uint8 (N, H, W, C)."""
        real = outputs.astype(np.float32)
        if quant is not None:
            real = (real - quant[1]) * np.float32(quant[0])
        return np.rint(np.clip(real, 0, 1) * PEAK).astype(np.uint8)

    def measure(self, answers: np.ndarray, labels: np.ndarray) -> Mapping[str, float]:
        off = (answers.astype(np.float64) - labels).reshape(len(labels), -1)
        squares = np.maximum((off ** 2).mean(1), LEAST_SQUARE)
        return {self.metric: float((10 * np.log10(PEAK ** 2 / squares)).mean())}

    def wanted(self, classes: int) -> str:
        return f"(2, {classes}, {self.size[0]}, {self.size[1]}), pixels of 0 to 1"

    def refuses(self, shape: tuple[int, ...], classes: int) -> bool:
        return tuple(shape) != (2, classes, *self.size)

    def on_board(self, shape: tuple[int, ...], quant: Quant) -> None:
        return None


def halved(images: np.ndarray) -> np.ndarray:
    """int8 (N, 2H, 2W, C) -> int8 (N, H, W, C): means of four pixels, halves rounded up."""
    count, height, width, depth = images.shape
    fours = images.reshape(count, height // 2, 2, width // 2, 2, depth).astype(np.int16)
    return ((fours.sum(axis=(2, 4)) + 2) >> 2).astype(np.int8)


def _split(source: Split) -> Split:
    return Split(halved(source.images), (source.images.view(np.uint8) ^ 0x80))


def load() -> Task:
    """Raises InputError when the data cannot be had."""
    from mcunas import tasks
    from mcunas.tasks.augment import Augment

    of = tasks.load("fashion-mnist")
    train, validation, test = map(_split, (of.train, of.validation, of.test))
    height, width, depth = of.input_shape
    schedule = Schedule(prune_epochs=8, finetune_epochs=12, qat_epochs=3, warmup_epochs=1, batch=32, rate=0.2,
                        width_rate=0.02, weight_decay=1e-5, epoch_samples=12_000, measured_images=1_000)
    return replace(of, name="super-resolution", classes=depth, train=train, validation=validation, test=test,
                   augment=Augment(), start="upscaler", options={}, schedule=schedule,
                   objective=SuperResolution((height, width)))
