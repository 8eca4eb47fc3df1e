# SPDX-License-Identifier: Apache-2.0
"""Two parts of a task's training split, for weights and for architecture: by a hash of each image's content.

The part depends on no seed, order or library, and equal images are never on both sides. The task's own validation split
may choose between finished candidates; the test split stays sealed until the genotype is fixed.
"""
from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from mcunas.errors import InputError
from mcunas.tasks import Split, Task


@dataclass(frozen=True, eq=False)
class Splits:
    """Tasks whose `train` is the part: for weights, and for architecture."""

    weights: Task
    arch: Task


def split(task: Task, share: float) -> Splits:
    """share: of the training images, about, that goes to the architecture. Raises InputError when a part is empty."""
    limit = int(share * 2**32)
    is_arch = np.array([_position(image) < limit for image in task.train.images])
    if is_arch.all() or not is_arch.any():
        raise InputError(f"a share of {share} of {len(task.train)} training images leaves a part empty", where=task.name)
    return Splits(*(replace(task, train=Split(task.train.images[part], task.train.labels[part]))
                    for part in (~is_arch, is_arch)))


def _position(image: np.ndarray) -> int:
    """0 .. 2**32 - 1, evenly. Salted: tasks cut their own splits by hashes too."""
    return int.from_bytes(hashlib.sha256(b"architecture" + image.tobytes()).digest()[:4], "big")
