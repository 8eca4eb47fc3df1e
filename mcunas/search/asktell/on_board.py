# SPDX-License-Identifier: Apache-2.0
"""An int8 network as firmware: what the board's core answers to images in QEMU, and what one inference takes there."""
from __future__ import annotations

import tempfile

from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.compiler import compile_graph
from mcunas.device import build, stream, validate
from mcunas.graph import Graph, write_tflite
from mcunas.tasks import Split
from mcunas.tasks.objective import CLASSIFICATION, Objective


def measured(graph: Graph, board: Board, budget: Budget, images: Split, objective: Objective = CLASSIFICATION
             ) -> dict[str, float]:
    """{"accuracy", "instructions", "board_cycles", "board_latency_us", "mismatches"}: accuracy is the objective's metric,
    cycles are modelled from the counted execution. Raises DoesNotFit when the linker says so, ToolMissing, CheckFailed."""
    limits = budget.for_board(board)
    compiled = compile_graph(graph, board, ram_bytes=limits.ram_bytes, flash_bytes=limits.flash_bytes)
    with tempfile.TemporaryDirectory(prefix="mcunas-") as folder:
        image = build(compiled, board, folder, tflite=write_tflite(graph))
        answers = stream(image, images.images)
        report = validate(image, [one[None] for one in images.images[:2]])
    found = objective.decode(answers.reshape(len(images), *graph.tensors[graph.outputs[0]].shape[1:]), graph.output_quant)
    cycles = report.measured.cycles or 0
    return {"accuracy": objective.measure(found, images.labels)[objective.metric],
            "instructions": report.measured.instructions or 0, "board_cycles": cycles,
            "board_latency_us": cycles / board.clock_hz * 1e6, "mismatches": report.mismatches}
