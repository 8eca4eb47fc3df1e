# SPDX-License-Identifier: Apache-2.0
"""How long a search trains and at what rates. A task brings its own; every method gets the same."""
from __future__ import annotations

import math
from dataclasses import dataclass, replace

from mcunas.errors import InputError


@dataclass(frozen=True)
class Schedule:
    """Epochs of the float phases and of quantization-aware training, and the optimizers' settings.

    prune_epochs: until the projection; methods that choose widths without training spend them on training instead.
    teacher_epochs: of the dense network that the pruned one then learns from; 0 = labels only.
    epoch_samples: most training samples of one epoch, another draw each time; None = all. measured_images: how many
    images, the first of each split, the int8 network is evaluated on, on the host and on the board; None = all.
    """

    prune_epochs: int = 36
    finetune_epochs: int = 84
    qat_epochs: int = 16
    teacher_epochs: int = 0
    warmup_epochs: int = 2
    batch: int = 64
    rate: float = 0.1
    width_rate: float = 0.03
    qat_rate: float = 0.001
    weight_decay: float = 5e-4
    epoch_samples: int | None = None
    measured_images: int | None = None

    def __post_init__(self) -> None:
        """Raises InputError for what no training can be."""
        for name in ("prune_epochs", "finetune_epochs", "qat_epochs", "teacher_epochs", "warmup_epochs", "batch",
                     "epoch_samples", "measured_images"):
            value, least = getattr(self, name), 0 if name.endswith("epochs") else 1
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise InputError(f"{name} cannot be {value!r}", where="schedule", fix=f"give a whole number from {least} on")
        for name in ("rate", "width_rate", "qat_rate", "weight_decay"):
            if not (math.isfinite(value := getattr(self, name)) and value >= 0):
                raise InputError(f"{name} cannot be {value!r}", where="schedule", fix="give a number from 0 on")

    @property
    def float_epochs(self) -> int:
        return self.prune_epochs + self.finetune_epochs

    def smoke(self) -> Schedule:
        """The same road in about a minute: few epochs of few samples, and a part of the test split."""
        return replace(self, prune_epochs=6, finetune_epochs=2, qat_epochs=2, warmup_epochs=1, width_rate=0.15,
                       epoch_samples=min(self.epoch_samples or SMOKE_SAMPLES, SMOKE_SAMPLES),
                       measured_images=min(self.measured_images or SMOKE_IMAGES, SMOKE_IMAGES))


SMOKE_SAMPLES, SMOKE_IMAGES = 1280, 450
