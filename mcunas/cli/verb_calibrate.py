# SPDX-License-Identifier: Apache-2.0
"""The verb calibrate: measure a board's instruction timings and write them as its own cycle table."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcunas.cli import options
from mcunas.cli.output import print_json, print_table

if TYPE_CHECKING:
    from mcunas.device.calibrate import Calibrated


def calibrate(
    board: options.Board = "mps2-an386",
    out: Annotated[Path | None, typer.Option(
        "--out", "-o", metavar="FILE", help="The table. Left out: cost/BOARD.toml beside the board's file, where every "
        "price of that board is then taken from; an emulator's is only printed.", show_default=False)] = None,
    port: Annotated[str | None, typer.Option(
        "--port", metavar="PORT", help="The serial port of a board that runs the firmware; else QEMU.",
        show_default=False)] = None,
    firmware: Annotated[Path | None, typer.Option(
        "--firmware", metavar="DIR", help="Keep the firmware there, to be flashed.", show_default=False)] = None,
    json: options.Json = False,
) -> None:
    """Measure a board's instruction timings into a cycle table.

    Example: mcunas calibrate --board mps2-an386 --out cycles.toml
    """
    from mcunas.atomic import write_file
    from mcunas.board import Board
    from mcunas.device.calibrate import calibrate as measure
    from mcunas.search.progress import ProgressBars

    chosen = Board.load(board)
    with ProgressBars() as bars:
        found = measure(chosen, port=port, firmware=firmware, progress=lambda done, of: bars("calibrate", done, of, {}))
    path = out or (chosen.calibration_path if port else None)
    if path:
        write_file(path, found.text)
    if json:
        print_json(_to_json(found, path))
        return
    _print(found)
    print(f"wrote {path}" if path else "not written: these are an emulator's figures; --out FILE keeps them")
    if path and path.resolve() != chosen.calibration_path.resolve():
        print(f"as {chosen.calibration_path} it is what {chosen.key} is priced by")


def _print(found: Calibrated) -> None:
    from mcunas.cost.calibration_table import error_percent

    timing, done = found.fitted.timing, found.calibration
    decided = {line.entry: line for line in found.fitted.lines if line.entry}
    print_table(("figure", "cycles", "decided by", "residual"), [
        (name, " ".join(f"{x:g}" for x in getattr(timing, name)),
         " ".join(line.name for line in found.fitted.lines if line.entry == name),
         f"{max((abs(line.residual) for line in found.fitted.lines if line.entry == name), default=0.0):.3f}")
        for name in decided], f"{found.board.name}: {done.target}, {done.counter}")
    print()
    print_table(("check", "instructions", "cycles", "model", "residual"), [
        (line.name, f"{line.instructions:g}", f"{line.cycles:.3f}", f"{line.model:.3f}", f"{line.residual + 0.0:.3f}")
        for line in found.fitted.lines if not line.entry])
    least, mean, most = found.fitted.cycles_per_instruction
    print(f"issue: {timing.issue}; nine of ten checks within {error_percent(found.fitted):g} %; inner loops take {mean:.2f} "
          f"cycles per instruction ({least:.2f} to {most:.2f})")
    plain = next(line.cycles for line in found.fitted.lines if line.name == "alu")
    if abs(plain - 1) > 0.02:
        print(f"an addition takes {plain:.3f} cycles: code waits for its memory, or the counter has another clock")


def _to_json(found: Calibrated, path: Path | None) -> dict[str, object]:
    from dataclasses import asdict

    from mcunas.cost.calibration_table import error_percent

    return {"board": found.board.key, **asdict(found.calibration), "timing": asdict(found.fitted.timing),
            "error_percent": error_percent(found.fitted), "file": str(path) if path else None}
