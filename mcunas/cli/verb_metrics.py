# SPDX-License-Identifier: Apache-2.0
"""The verb metrics: a model's figures of merit, with their definitions."""
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcunas.cli import options
from mcunas.cli.output import print_json, print_table


def metrics(
    model: Annotated[Path, typer.Argument(metavar="MODEL.tflite | DIR", show_default=False, help=(
        "An int8 .tflite file, or the folder of a run, which knows its accuracy, too."))],
    board: options.Board = "mps2-an386",
    optimize: options.Optimized = options.Optimize.BALANCED,
    json: options.Json = False,
) -> None:
    """List a model's figures of merit on a board, each defined.

    Effectiveness (of a run), lightness and computation cost.

    Example: mcunas metrics kws.tflite --board nucleo-l4r5zi
    """
    from mcunas import api
    from mcunas.board import Board
    from mcunas.cost import estimate
    from mcunas.report import read_report
    from mcunas.report.metrics import metrics as figures_of
    from mcunas.report.page import figure

    run = read_report(model) if model.is_dir() else {}
    path = model / "model.tflite" if model.is_dir() else model
    graph, _ = api.load_model(path)
    cost = estimate(graph, Board.load(board), goal=optimize.value)
    found = figures_of(graph, path.stat().st_size, cost, run.get("accuracy"))
    if json:
        print_json(found)
        return
    print_table(("", "", "value", "basis", "definition"), [
        (row["group"] if k == 0 or found[k - 1]["group"] != row["group"] else "", row["name"], figure(row), row["basis"],
         row["definition"]) for k, row in enumerate(found)], f"{path.name} on {board}")
