# SPDX-License-Identifier: Apache-2.0
"""flash: firmware into a board, by the first of the board's tools that is installed, chip checked before and bytes after.

Tools come in the board file's order. A tool that is missing, or has no probe of its kind to speak to, passes on to the
next; one that has begun and fails is the end, for another would hide why.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mcunas.board import Board
from mcunas.board_parts import FLASHERS
from mcunas.device.build import Image
from mcunas.errors import InputError, ToolMissing, did_you_mean


@dataclass(frozen=True)
class Flashed:
    """tool: of FLASHERS. target: probe's serial or volume that was written. size_bytes: written. verified: how."""

    tool: str
    target: str
    size_bytes: int
    verified: str


Flasher = Callable[[Image, str | None], Flashed]


def flasher(name: str) -> Flasher:
    """The function behind a tool's name: it takes the image and a probe's serial number or a volume's path, or None."""
    if name == "pyocd":
        from mcunas.device.flash.pyocd_tool import flash_pyocd

        return flash_pyocd
    if name in ("uf2", "daplink"):
        from mcunas.device.flash import volumes

        return volumes.flash_uf2 if name == "uf2" else volumes.flash_daplink
    from mcunas.device.flash.programs import flash_by

    return lambda image, probe: flash_by(name, image, probe)


def flash(image: Image, *, tool: str | None = None, probe: str | None = None) -> Flashed:
    """Program, verify and start `image`. tool: one of the board's; default: the first that is installed.
    probe: serial number (or its beginning), or a volume's path; default: the only one there.

    Raises ToolMissing, InputError (no probe, several, no permission), CheckFailed (another chip, bytes differ).
    """
    missing: list[str] = []
    for name in _tools(image.board, tool):
        try:
            return flasher(name)(image, probe)
        except ToolMissing as error:
            missing.append(f"{name}: {error.what}{f' ({error.fix})' if error.fix else ''}")
    raise ToolMissing(f"nothing can flash it: {'; '.join(missing)}", image.board.key)


def _tools(board: Board, wanted: str | None) -> tuple[str, ...]:
    if board.flashing is None:
        fix = f"it runs in QEMU: mcunas validate --board {board.key}" if board.emulate else "add a [flash] table to its file"
        raise InputError("cannot be flashed", board.key, fix)
    if wanted is None:
        return board.flashing.tools
    if wanted not in FLASHERS:
        raise InputError(f"unknown flash tool {wanted!r}", board.key, did_you_mean(wanted, FLASHERS))
    if wanted not in board.flashing.tools:
        raise InputError(f"{wanted} does not flash this board", board.key, f"use {' or '.join(board.flashing.tools)}")
    return (wanted,)
