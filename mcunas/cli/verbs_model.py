# SPDX-License-Identifier: Apache-2.0
"""Verbs that need no compiler and no emulator: boards, compile."""
from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcunas.cli import options
from mcunas.cli.output import kib, print_json, print_table

if TYPE_CHECKING:
    import mcunas.board


def boards(
    key: Annotated[str | None, typer.Argument(help="One board; all of them if left out.", show_default=False)] = None,
    json: options.Json = False,
) -> None:
    """List the known boards, with what a model may use of each.

    Example: mcunas boards mps2-an386
    """
    from mcunas.board import Board

    chosen = [Board.load(k) for k in (Board.keys() if key is None else [key])]
    if key is not None:
        _ = chosen[0].cycle_model       # of a file of one's own, all that it names is looked at
    found = [_board_facts(board) for board in chosen]
    if json:
        print_json(found)
        return
    print_table(
        ("board", "core", "ISA", "clock", "RAM", "flash", "runs in", "flashed by"),
        [(b["key"], b["cpu"], b["isa"], f"{b['clock_hz'] / 1e6:g} MHz", kib(b["ram_bytes"]), kib(b["flash_bytes"]),
          "QEMU" if b["qemu"] else "hardware", ", ".join(b["flash_tools"])) for b in found],
    )
    if key:
        print_table((found[0]["name"], "kind", "origin", "size", "used for"),
                    [(m["name"], m["kind"], f"{m['origin']:#010x}", kib(m["size"]), ", ".join(m["use"]))
                     for m in found[0]["memories"]])
    print("RAM and flash are what a model may use: the memory less the firmware's own share.")


def _board_facts(board: mcunas.board.Board) -> dict[str, Any]:
    return {"key": board.key, "name": board.name, "chip": board.chip, "cpu": board.cpu, "isa": board.isa,
            "fpu": board.fpu, "clock_hz": board.clock_hz, "ram_bytes": board.ram_bytes,
            "flash_bytes": board.flash_bytes, "qemu": board.emulate.qemu if board.emulate else None,
            "flash_tools": list(board.flashing.tools) if board.flashing else [], "console_usb": list(board.console.usb),
            "memories": [{"name": m.name, "kind": m.kind, "origin": m.origin, "size": m.size, "use": list(m.use)}
                         for m in board.memories]}


def compile_model(
    model: options.Model,
    out: options.Out,
    board: options.Board = "mps2-an386",
    ram: options.Ram = None,
    optimize: options.Optimized = options.Optimize.BALANCED,
    tuned: options.Tuned = None,
    engine: options.Engines = options.Engine.AOT,
    json: options.Json = False,
) -> None:
    """Turn an int8 .tflite into model.c, model.h, manifest.json and sbom.cdx.json.

    With --engine tflm: model.c, engine.cc, board.h and link.ld around TensorFlow Lite Micro, which need not be there.

    Example: mcunas compile kws.tflite --board mps2-an386 --out build/kws
    """
    from json import dumps

    from mcunas import api
    from mcunas.atomic import write_files
    from mcunas.device import sbom

    kernels: tuple[str, ...] = ()
    if engine is options.Engine.TFLM:
        texts, facts = api.compile_tflm(model, board, tuned, ram)
    else:
        compiled, _ = api.compile_model(model, board, optimize.value, tuned, ram)
        texts, facts = {"model.c": compiled.model_c, "model.h": compiled.model_h}, compiled.manifest
        kernels = compiled.kernels
    write_files(out, {**texts, sbom.NAME: sbom.sources_sbom(facts["model"], kernels, texts),
                      "manifest.json": dumps(facts, indent=1) + "\n"})
    if json:
        print_json(facts)
        return
    arena = "arena (RAM), predicted" if "arena_source" in facts else "arena (RAM)"
    print_table((model.name, "bytes"), [(arena, f"{facts['arena_bytes']:,}"),
                                        ("weights (flash)", f"{facts['weight_bytes']:,}")])
    print(f"wrote {', '.join(texts)}, manifest.json and {sbom.NAME} to {out}")
