# SPDX-License-Identifier: Apache-2.0
"""Flashing through pyOCD, which comes with mcunas: any CMSIS-DAP, ST-LINK or J-Link probe.

Its messages become one line that says what to do: a pack to install, a udev rule to add, a probe to name.
"""
from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from elftools.elf.elffile import ELFFile

from mcunas.board import Board
from mcunas.device.build import Image
from mcunas.device.flash import Flashed
from mcunas.device.flash.chip_id import demand_chip
from mcunas.errors import CheckFailed, InputError, McunasError, ToolMissing

UDEV_FIX = ("allow it: put SUBSYSTEM==\"usb\", ATTR{idVendor}==\"<the probe's>\", MODE=\"0666\" into "
            "/etc/udev/rules.d/50-probes.rules, run `sudo udevadm control --reload; sudo udevadm trigger`, plug it in again")


def flash_pyocd(image: Image, probe: str | None) -> Flashed:
    """See `flash`."""
    found = _choose(probes(), probe, image.board)
    with session(found, image.board) as target_session:
        from pyocd.flash.file_programmer import FileProgrammer

        target = target_session.target
        if chip := image.board.flashing.chip_id:
            demand_chip(image.board, target.read32(chip.address))
        target.reset_and_halt()
        programmer = FileProgrammer(target_session, no_reset=True, progress=lambda part: None)
        programmer.program(str(image.elf), file_format="elf")
        size_bytes = _verify(image, target)
        target.reset()
        return Flashed("pyocd", found.unique_id, size_bytes, "read back")


def probes() -> list[Any]:
    """pyOCD's probes that are connected. Raises ToolMissing (pyOCD), InputError (no permission)."""
    try:
        from pyocd.core.helpers import ConnectHelper
    except ImportError:
        raise ToolMissing("pyOCD is not installed", fix="pip install pyocd") from None
    logging.getLogger("pyocd").setLevel(logging.CRITICAL)
    with _translated(None):
        return list(ConnectHelper.get_all_connected_probes(blocking=False))


@contextmanager
def session(probe: Any, board: Board) -> Iterator[Any]:
    """An open pyOCD session on `probe` for the board's chip. Raises InputError, ToolMissing, CheckFailed."""
    from pyocd.core.session import Session

    options = {"target_override": board.flashing.pyocd, "connect_mode": "under-reset", "resume_on_disconnect": False,
               "warning.cortex_m_default": False, "no_config": True}
    with _translated(board):
        with Session(probe, auto_open=True, options=options) as opened:
            yield opened


def _choose(found: list[Any], wanted: str | None, board: Board) -> Any:
    if not found:
        raise ToolMissing("no debug probe is connected", fix="plug the board's probe in")
    matching = [p for p in found if wanted is None or p.unique_id.lower().startswith(wanted.lower())]
    known = ", ".join(f"{p.unique_id} ({p.description})" for p in found)
    if not matching:
        raise InputError(f"no probe has the serial number {wanted!r}", board.key, f"connected: {known}")
    if len(matching) > 1:
        raise InputError("several probes are connected", board.key, f"name one, PROBE=serial: {known}")
    return matching[0]


@contextmanager
def _translated(board: Board | None) -> Iterator[None]:
    """What pyOCD and libusb raise, as one line."""
    where = board.key if board else "pyocd"
    try:
        yield
    except McunasError:
        raise
    except Exception as error:
        from pyocd.core import exceptions

        text = " ".join(str(error).split())
        if isinstance(error, exceptions.TargetSupportError) and board:
            name = board.flashing.pack or board.flashing.pyocd
            raise ToolMissing(f"pyOCD does not know the chip {board.flashing.pyocd!r}", where,
                              f"install its pack: pyocd pack install {name}") from None
        if "Access denied" in text or "insufficient permissions" in text or isinstance(error, PermissionError):
            raise InputError("the probe is there, but this user may not open it", where, UDEV_FIX) from None
        if "No backend" in text:
            raise ToolMissing("libusb is not installed", where, "on Debian: apt-get install libusb-1.0-0") from None
        if isinstance(error, exceptions.ProbeDisconnected):
            raise CheckFailed("the probe was unplugged", where,
                              "plug it in and flash again: the chip may be half written") from None
        if isinstance(error, exceptions.FlashFailure):
            raise CheckFailed(f"programming failed: {text}", where,
                              "check the board's supply, and that its flash is not protected") from None
        if isinstance(error, exceptions.Error):
            raise CheckFailed(f"pyOCD cannot reach the chip: {text or type(error).__name__}", where,
                              "check the cable and the board's supply") from None
        raise


def _verify(image: Image, target: Any) -> int:
    """Read every programmed byte back. Raises CheckFailed."""
    size_bytes = 0
    with image.elf.open("rb") as file:
        for segment in ELFFile(file).iter_segments():
            if segment["p_type"] != "PT_LOAD" or not segment["p_filesz"]:
                continue
            wanted, at = segment.data(), segment["p_paddr"]
            found = bytes(target.read_memory_block8(at, len(wanted)))
            for i, (a, b) in enumerate(zip(wanted, found)):
                if a != b:
                    raise CheckFailed(f"the flash holds {b:#04x} at {at + i:#010x}, not {a:#04x}", image.board.key,
                                      "flash it again")
            size_bytes += len(wanted)
    return size_bytes
