# SPDX-License-Identifier: Apache-2.0
"""The verb export: models as a folder or zip for another build system."""
from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mcunas.cli import options
from mcunas.cli.output import print_json, working


class Form(StrEnum):
    CMAKE = "cmake"
    ARDUINO = "arduino"
    ZEPHYR = "zephyr"
    PLATFORMIO = "platformio"
    PACK = "cmsis-pack-sources"


def export(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL.tflite...", help="Int8 .tflite files.", show_default=False)],
    form: Annotated[Form, typer.Option("--as", help="The world that it is for.")],
    out: options.Out,
    board: options.Board = "mps2-an386",
    ram: options.Ram = None,
    optimize: options.Optimized = options.Optimize.BALANCED,
    json: options.Json = False,
) -> None:
    """Write models and kernels as a library for another build system.

    Example: mcunas export kws.tflite --as arduino --board nano33ble-sense --out kws.zip
    """
    from mcunas import api
    from mcunas.board import Board
    from mcunas.device.export import export as write

    chosen = Board.load(board)
    with working("compiling"):
        compiled = [api.compile_model(model, chosen, optimize.value, None, ram)[0] for model in models]
        names = write(compiled, chosen, form.value, out)
    if json:
        print_json({"form": form.value, "out": str(out), "files": list(names)})
        return
    print(f"wrote {len(names)} files for {form.value} to {out}")
