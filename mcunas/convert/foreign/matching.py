# SPDX-License-Identifier: Apache-2.0
"""Which of the user's arrays belongs to which input of a model. numpy only: both Pythons use it."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

AT_MOST = 300       # samples; more do not change a range by much and take their time


def match(samples: Mapping[str, np.ndarray], inputs: Sequence[tuple[str, tuple[int, ...]]]) -> list[np.ndarray]:
    """Float32 arrays (N, ...) in the order of `inputs`, which are (name, shape with a batch of 1).

    An array goes to the input of its name; a single one to a single input whatever its name. Of many samples AT_MOST are
    taken, evenly. Raises ValueError that says what was expected.
    """
    wanted = ", ".join(f'"{name}" (N{"".join(f", {d}" for d in shape[1:])})' for name, shape in inputs)
    if len(inputs) == 1 and len(samples) == 1:
        arrays = list(samples.values())
    else:
        absent = [name for name, _ in inputs if name not in samples]
        if absent:
            raise ValueError(f"holds {', '.join(map(repr, samples)) or 'nothing'}, but the model's inputs are {wanted}")
        arrays = [samples[name] for name, _ in inputs]
    for array, (name, shape) in zip(arrays, inputs):
        if array.shape[1:] != tuple(shape[1:]) or array.ndim != len(shape):
            raise ValueError(f'has shape {array.shape} for the input "{name}"; the model expects {wanted}')
    counts = {len(array) for array in arrays}
    if len(counts) != 1 or 0 in counts:
        raise ValueError(f"holds {' and '.join(map(str, sorted(counts)))} samples; all inputs need the same number")
    count = counts.pop()
    picked = np.unique(np.linspace(0, count - 1, min(count, AT_MOST)).round().astype(int))
    return [np.ascontiguousarray(array[picked], np.float32) for array in arrays]
