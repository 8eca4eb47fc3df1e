# SPDX-License-Identifier: Apache-2.0
"""A quantized model: the int8 Graph, and how it was measured on the host."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mcunas.atomic import write_file
from mcunas.graph import Graph, write_tflite
from mcunas.graph.oracle import Oracle
from mcunas.tasks import Split, Task


@dataclass(frozen=True, eq=False)
class QuantizedModel:
    """graph: int8. metrics: accuracies and the ledger of the training with quantization in the loop."""

    graph: Graph
    metrics: dict[str, Any]

    def save(self, path: str | Path) -> Path:
        """Write a standard int8 .tflite, whole or not at all."""
        path = Path(path)
        write_file(path, write_tflite(self.graph))
        return path


def run_tflite(graph: Graph, images: np.ndarray) -> np.ndarray:
    """TFLite Micro's own answer: int8 images (N, H, W, C) -> int8 outputs (N, ...)."""
    oracle = Oracle(graph)
    return np.concatenate([oracle.outputs([np.ascontiguousarray(image[None])])[0] for image in images])


def measures(graph: Graph, task: Task, split: Split) -> dict[str, float]:
    """What the task's objective measures of the int8 Graph, by name."""
    answers = task.objective.decode(run_tflite(graph, split.images), graph.output_quant)
    return dict(task.objective.measure(answers, split.labels))
