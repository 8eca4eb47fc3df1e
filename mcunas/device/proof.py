# SPDX-License-Identifier: Apache-2.0
"""A task's images through the board: every output byte beside tflite-micro's, and what the task measures of the answers."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mcunas.device.build import Image
from mcunas.device.run import stream
from mcunas.device.validate import ValidationReport, validate

if TYPE_CHECKING:
    from mcunas.board import Board
    from mcunas.budget import Budget
    from mcunas.graph import Graph
    from mcunas.tasks import Split, Task

DECODER_BYTES = 0x500   # of flash, on any core: what firmware/decode takes, with what links it in
MEASURED_INPUTS = 3     # inputs for RAM, stack and instructions, besides those that are streamed


@dataclass(frozen=True)
class Proof:
    """report: over all images; where the board decodes, numbers of its answers that differ from the host's are mismatches,
    too. on_board, on_host: what the task's objective measures of the answers of each."""

    report: ValidationReport
    on_board: dict[str, float]
    on_host: dict[str, float]


def decoder_of(graph: Graph, task: Task) -> Any:
    """How a firmware for the task decodes the graph's output itself; None: it does not."""
    return task.objective.on_board(graph.tensors[graph.outputs[0]].shape, graph.output_quant)


def for_model(budget: Budget, board: Board, task: Task) -> Budget:
    """What a budget leaves to the model where the firmware decodes boxes as well; else the budget as it is."""
    if task.objective.head != "boxes":
        return budget
    whole = budget.for_board(board)
    return replace(whole, flash=max((whole.flash_bytes or 0) - DECODER_BYTES, 1))


def prove(image: Image, task: Task, split: Split, progress: Callable[[int], None] | None = None,
          port: str | None = None) -> Proof:
    """progress: called with the number of inferences done so far. port: of a board; None: QEMU. Raises as `validate`."""
    from mcunas.graph import read_tflite
    from mcunas.graph.oracle import Oracle

    boxes: list[np.ndarray] | None = [] if "decoder" in image.manifest else None
    found = stream(image, split.images, progress, boxes, port)
    data = image.model_bytes()
    graph = read_tflite(data)
    oracle = Oracle(graph, data)
    expected = np.concatenate([oracle.outputs([one[None]])[0] for one in split.images])
    found = found.reshape(expected.shape)
    differing = int(np.count_nonzero(found != expected))
    by_host, by_board = (task.objective.decode(outputs, graph.output_quant) for outputs in (expected, found))
    if boxes is not None:
        from mcunas.tasks.detection.decode import padded

        by_board = padded(boxes)
        differing += int(np.count_nonzero(by_board != by_host))
    report = validate(image, [one[None] for one in split.images[:MEASURED_INPUTS]], port=port)
    report = replace(report, inputs=len(split), mismatches=max(differing, report.mismatches))
    on_board, on_host = (dict(task.objective.measure(answers, split.labels)) for answers in (by_board, by_host))
    return Proof(report, on_board, on_host)
