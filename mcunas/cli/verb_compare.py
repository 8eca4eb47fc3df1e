# SPDX-License-Identifier: Apache-2.0
"""The verb compare: one model under both engines, or finished runs beside each other."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mcunas.cli import options
from mcunas.cli.output import output_folder, print_json, print_table, working
from mcunas.errors import InputError

FIGURES = (("ram_bytes", "RAM (arena), bytes"), ("flash_bytes", "image (flash), bytes"), ("stack_bytes", "stack, bytes"),
           ("instructions", "instructions"), ("differing", "differing output bytes"))


def compare(
    what: Annotated[list[Path], typer.Argument(metavar="MODEL.tflite | DIR DIR...", show_default=False, help=(
        "An int8 .tflite file, or the folders of two or more runs."))],
    board: options.Board = "mps2-an386",
    optimize: options.Optimized = options.Optimize.CYCLES,
    json: options.Json = False,
) -> None:
    """Compare a model under mcunas and your TFLM, or finished runs.

    Example: mcunas compare runs/digits-diffprune-mps2-an386 runs/digits-uniform-mps2-an386
    """
    if len(what) > 1:
        _runs(what, json)
    elif what[0].is_dir():
        raise InputError("this is one run", str(what[0]), "name two or more, or a .tflite file for both engines")
    else:
        _engines(what[0], board, optimize.value, json)


def _engines(model: Path, board: str, optimize: str, json: bool) -> None:
    from mcunas import api
    from mcunas.device.compare import compare as measure
    from mcunas.device.tflm import Tflm

    tflm = Tflm.find()
    with output_folder(None) as folder, working("building and running both"):
        found = measure(api.build(model, board, folder, optimize=optimize), tflm)
    if json:
        print_json([asdict(engine) for engine in found])
        return
    print_table((model.name, *(engine.engine for engine in found)), [
        (text, *("–" if value is None else f"{value:,}" for value in (getattr(engine, name) for engine in found)))
        for name, text in FIGURES])


def _runs(folders: Sequence[Path], json: bool) -> None:
    """Budget, figures and accuracy of each, as measured, or as predicted where nothing was."""
    from mcunas.report import read_report
    from mcunas.report.page import figure
    from mcunas.report.side_by_side import side_by_side

    rows = side_by_side([read_report(folder) for folder in folders])
    if json:
        print_json({"runs": [str(folder) for folder in folders], "rows": rows})
        return
    print_table(("", *(str(folder) for folder in folders)), [
        (row["name"], *(value if isinstance(value, str) else figure({**row, "value": value}) for value in row["values"]))
        for row in rows])
