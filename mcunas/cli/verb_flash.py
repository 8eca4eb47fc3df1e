# SPDX-License-Identifier: Apache-2.0
"""The verb flash: firmware into a connected board."""
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcunas.cli import options
from mcunas.cli.output import output_folder, print_json, print_table, working
from mcunas.errors import InputError


def flash(
    model: Annotated[Path | None, typer.Argument(metavar="MODEL.tflite", show_default=False)] = None,
    board: options.Board = "nucleo-l4r5zi",
    out: options.Kept = None,
    probe: options.Probe = None,
    tool: Annotated[str | None, typer.Option("--tool", metavar="TOOL", show_default=False, help=(
        "pyocd, openocd, probe-rs, st-flash, uf2 or daplink; default: the board's first that is installed."))] = None,
    listed: Annotated[bool, typer.Option("--list", help="Show probes and serial ports instead.")] = False,
    optimize: options.Optimized = options.Optimize.BALANCED,
    tuned: options.Tuned = None,
    engine: options.Engines = options.Engine.AOT,
    json: options.Json = False,
) -> None:
    """Build a model's firmware and put it into a connected board.

    The chip is checked before anything is written, and every byte after.

    Example: mcunas flash kws.tflite --board nucleo-l4r5zi --out build/kws
    """
    if listed:
        return _list(json)
    if model is None:
        raise InputError("no model is named", "command line", "mcunas flash MODEL.tflite --board BOARD, or --list")
    from mcunas import api
    from mcunas.device.flash import flash as program

    with output_folder(out) as folder:
        with working("building"):
            image = api.build(model, board, folder, optimize=optimize.value, tuned=tuned, engine=engine.value)
        with working(f"flashing {image.board.name}"):
            done = program(image, tool=tool, probe=probe)
    if json:
        print_json({"board": image.board.key, "tool": done.tool, "target": done.target, "bytes": done.size_bytes,
                    "verified": done.verified})
        return
    print(f"flashed {done.size_bytes:,} bytes into {image.board.name} by {done.tool} ({done.target}); "
          f"verified: {done.verified}")


def _list(json: bool) -> None:
    from mcunas.board import Board
    from mcunas.device.flash.pyocd_tool import probes
    from mcunas.device.ports import usb_id, usb_ports

    boards = [Board.load(key) for key in Board.keys()]
    found = {"probes": [{"serial": p.unique_id, "name": p.description} for p in probes()],
             "ports": [{"port": p.device, "usb": usb_id(p), "serial": p.serial_number,
                        "boards": [b.key for b in boards if usb_id(p) in b.console.usb]} for p in usb_ports()]}
    if json:
        print_json(found)
        return
    print_table(("probe", "name"), [(p["serial"], p["name"]) for p in found["probes"]])
    print_table(("port", "USB", "serial", "may be"),
                [(p["port"], p["usb"], p["serial"] or "", ", ".join(p["boards"])) for p in found["ports"]])
