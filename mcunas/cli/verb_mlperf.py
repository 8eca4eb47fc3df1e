# SPDX-License-Identifier: Apache-2.0
"""The verb mlperf: firmware that MLPerf Tiny's runner drives, and the files that the runner reads."""
from __future__ import annotations

from typing import Annotated

import typer

from mcunas.cli import options
from mcunas.cli.output import print_json, print_table, working


def mlperf(
    tflite: options.Model,
    out: options.Out,
    model: Annotated[str, typer.Option("--model", "-m", metavar="NAME", help="kws01, ic01, vww01 or ad01.")] = "kws01",
    board: options.Board = "nucleo-l4r5zi",
    optimize: options.Optimized = options.Optimize.CYCLES,
    json: options.Json = False,
) -> None:
    """Build firmware for MLPerf Tiny's runner, and the files it reads.

    Example: mcunas mlperf kws.tflite --model kws01 --board nucleo-l4r5zi --out build/kws01
    """
    from mcunas.board import Board
    from mcunas.device.mlperf import mlperf as prepare

    with working("building"):
        image = prepare(tflite, model, Board.load(board), out, optimize=optimize.value)
    figures = image.manifest["build"]
    if json:
        print_json({**image.manifest, "devices": str(out / "devices.yaml"), "tests": str(out / "tests.yaml")})
        return
    print_table((f"{model} on {image.board.key}", "bytes"), [("arena (RAM)", f"{figures['arena_bytes']:,}"),
                                                             ("image (flash)", f"{figures['flash_bytes']:,}")])
    print(f"wrote {image.elf.name}, devices.yaml, tests.yaml and tests_accuracy.yaml to {out}; flash it, then in "
          "mlcommons/tiny's benchmark/runner:")
    for mode, tests in (("p", "tests.yaml"), ("a", "tests_accuracy.yaml")):
        print(f"  python main.py --dataset_path DATA --device_list {out.resolve()}/devices.yaml "
              f"--test_script {out.resolve()}/{tests} --mode={mode}")
