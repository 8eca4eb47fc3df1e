# SPDX-License-Identifier: Apache-2.0
"""What a conversion leaves: a float .tflite, and all that ties it to the original."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from complaint import Complaint
from matching import match

COMPARED = 4        # samples that the original runs on

Inputs = list[tuple[str, tuple[int, ...]]]


@dataclass(frozen=True)
class Converted:
    """tflite: float, batch 1. inputs: (name, shape in the original), in the .tflite's order. permutations: of an input's
    axes, from the original's order to the .tflite's. nodes: part of a tensor's name in the .tflite -> (name, kind) of what
    that is in the original. answers: outputs of the original, in its own order of axes, for the first samples.
    """

    tflite: bytes
    inputs: Inputs
    permutations: list[tuple[int, ...]]
    answers: list[list[np.ndarray]]
    nodes: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def arrange(samples: Mapping[str, np.ndarray], inputs: Inputs) -> list[np.ndarray]:
    """`match`, with its error as a Complaint."""
    try:
        return match(samples, inputs)
    except ValueError as error:
        raise Complaint(str(error), "the representative data") from None


def answers(run: Callable[..., Sequence[object]], arrays: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
    """run: the original; it takes one array a input, each with a batch of 1."""
    return [[np.asarray(output) for output in run(*(a[i:i + 1] for a in arrays))]
            for i in range(min(COMPARED, len(arrays[0])))]
