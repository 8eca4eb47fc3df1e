# SPDX-License-Identifier: Apache-2.0
"""Flashing by copying a file to a board's USB mass storage: UF2 for the Picos' boot ROM, Intel hex for DAPLink.

The volume says which chip it belongs to (INFO_UF2.TXT, DETAILS.TXT), takes the file, and goes away when it has programmed
it: that, and the absence of FAIL.TXT, is all the verification there is.
"""
from __future__ import annotations

import os
import re
import time
from pathlib import Path

from mcunas.board import Board
from mcunas.device.build import Image
from mcunas.device.flash import Flashed
from mcunas.device.flash.uf2 import uf2
from mcunas.errors import CheckFailed, InputError, ToolMissing

# Where systems mount removable volumes; {user} is the user's name.
MOUNTS = ("/media/{user}", "/run/media/{user}", "/media", "/mnt", "/Volumes")
_GONE_S = 30.0


def flash_uf2(image: Image, volume: str | None) -> Flashed:
    """See `flash`. volume: its path."""
    flashing, folder = image.board.flashing, _find(image.board, volume, "hold BOOTSEL while plugging the board in")
    info = _read(folder / "INFO_UF2.TXT")
    name = re.search(r"^Board-ID: *(\S+)", info, re.MULTILINE)
    if name is None or name[1] not in (flashing.volume, image.board.chip):
        raise CheckFailed(f"the volume belongs to {name[1] if name else 'no UF2 boot loader'!r}, not to a "
                          f"{image.board.chip}", str(folder), "connect the right board")
    data = uf2(image.bin.read_bytes(), image.board.flash.origin, flashing.uf2_family)
    _copy(folder, "firmware.uf2", data)
    return Flashed("uf2", str(folder), len(image.bin.read_bytes()), "taken by the boot loader")


def flash_daplink(image: Image, volume: str | None) -> Flashed:
    """See `flash`. volume: its path."""
    folder = _find(image.board, volume, "plug the board in")
    details = _read(folder / "DETAILS.TXT")
    unique = re.search(r"^Unique ID: *(\w{4})", details, re.MULTILINE)
    if unique is not None:
        _demand_board(image.board, unique[1], folder)
    data = image.hex.read_bytes()
    _copy(folder, "firmware.hex", data)
    if (folder / "FAIL.TXT").exists():
        raise CheckFailed(f"DAPLink refused it: {' '.join(_read(folder / 'FAIL.TXT').split())}", str(folder))
    return Flashed("daplink", str(folder), len(image.bin.read_bytes()), "taken by DAPLink")


def _find(board: Board, volume: str | None, fix: str) -> Path:
    if volume is not None:
        if not Path(volume).is_dir():
            raise InputError("is not the folder of a mounted volume", volume, fix)
        return Path(volume)
    label, user = board.flashing.volume, os.environ.get("USER", "")
    roots = dict.fromkeys(Path(root.format(user=user)) for root in MOUNTS)      # without a user two are the same
    found = [root / label for root in roots if (root / label).is_dir()]
    if not found:
        raise ToolMissing(f"no volume {label} is mounted", fix=f"{fix}, or give its folder with PROBE=")
    if len(found) > 1:
        raise InputError(f"several volumes {label} are mounted", board.key,
                         f"name one, PROBE=: {', '.join(map(str, found))}")
    return found[0]


def _demand_board(board: Board, code: str, folder: Path) -> None:
    from pyocd.board.board_ids import BOARD_ID_TO_INFO

    known = BOARD_ID_TO_INFO.get(code.upper())
    if known is not None and known.target and known.target != board.flashing.pyocd:
        raise CheckFailed(f"the volume belongs to a {known.name} ({known.target}), not to a {board.chip}", str(folder),
                          "connect the right board")


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _copy(folder: Path, name: str, data: bytes) -> None:
    """Write and flush, then wait for the volume to go: the boot loader unmounts it when it has all of the file."""
    path = folder / name
    try:
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except PermissionError:
        raise InputError("may not be written by this user", str(folder), "mount it as this user, or flash as root") from None
    except OSError as error:
        if path.parent.is_dir():        # else it has gone already: a boot loader does not wait for the end of the file
            raise CheckFailed(f"the volume failed while it was written ({error.strerror})", str(folder),
                              "flash again") from None
    deadline = time.monotonic() + _GONE_S
    while path.exists():
        if time.monotonic() > deadline:
            raise CheckFailed(f"the volume did not take the file within {_GONE_S:g} s", str(folder),
                              "reset the board and flash again")
        time.sleep(0.05)
