# SPDX-License-Identifier: Apache-2.0
"""The verb compare: one model under both engines."""
from __future__ import annotations

from dataclasses import asdict

from mcunas.cli import options
from mcunas.cli.output import output_folder, print_json, print_table, working


def compare(
    model: options.Model,
    board: options.Board = "mps2-an386",
    optimize: options.Optimized = options.Optimize.CYCLES,
    json: options.Json = False,
) -> None:
    """Measure a model under mcunas and under your TFLM (TFLM_ROOT).

    Example: mcunas compare kws.tflite --board mps2-an386
    """
    from mcunas import api
    from mcunas.device.compare import compare as measure
    from mcunas.device.tflm import Tflm

    tflm = Tflm.find()
    with output_folder(None) as folder, working("building and running both"):
        found = measure(api.build(model, board, folder, optimize=optimize.value), tflm)
    if json:
        print_json([asdict(engine) for engine in found])
        return
    print_table((model.name, *(engine.engine for engine in found)), [
        (text, *("–" if value is None else f"{value:,}" for value in (getattr(engine, name) for engine in found)))
        for name, text in (("ram_bytes", "RAM (arena), bytes"), ("flash_bytes", "image (flash), bytes"),
                           ("stack_bytes", "stack, bytes"), ("instructions", "instructions"),
                           ("differing", "differing output bytes"))])
