# SPDX-License-Identifier: Apache-2.0
"""Verbs that build firmware and run it: build, run, validate."""
from __future__ import annotations

from mcunas.cli import options
from mcunas.cli.output import kib, print_json, print_table


def build(
    model: options.Model,
    out: options.Out,
    board: options.Board = "mps2-an386",
    ram: options.Ram = None,
    flash: options.Flash = None,
    optimize: options.Optimized = options.Optimize.BALANCED,
    json: options.Json = False,
) -> None:
    """Turn an int8 .tflite into firmware: ELF, bin, hex and manifest.json.

    Example: mcunas build kws.tflite --board mps2-an386 --out build/kws
    """
    from mcunas import api
    from mcunas.budget import Budget

    image = api.build(model, board, out, budget=Budget(ram, flash), optimize=optimize.value)
    if json:
        print_json(image.manifest)
        return
    figures = image.manifest["build"]
    print_table((model.name, "bytes", ""), [
        ("arena (RAM)", f"{figures['arena_bytes']:,}", kib(figures["arena_bytes"])),
        ("image (flash)", f"{figures['flash_bytes']:,}", kib(figures["flash_bytes"])),
        ("weights", f"{image.manifest['weight_bytes']:,}", kib(image.manifest["weight_bytes"])),
    ])
    print(f"wrote {image.elf.name}, {image.bin.name}, {image.hex.name} and manifest.json to {out}")
