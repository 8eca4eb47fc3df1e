# SPDX-License-Identifier: Apache-2.0
"""The target of a firmware: an emulated core, or a board on a serial port that runs it; and asking again over a line that
loses, changes or repeats bytes.
"""
from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from mcunas.device.build import Image
from mcunas.device.flash.chip_id import demand_chip
from mcunas.device.link import DeviceError, Link, LinkError
from mcunas.device.qemu import Qemu
from mcunas.device.serial_port import SerialPort
from mcunas.errors import CheckFailed

T = TypeVar("T")
ATTEMPTS = 4            # of one thing
_PATIENCE_S = 2.0       # for a board's answer to begin
# What a firmware says that has lost its state, because it started again or a command did not reach it.
_LOST = ("No input", "No results", "Unknown command", "Bad data", "No load")


@contextmanager
def connect(image: Image, options: Sequence[str] = (), *, port: str | None = None) -> Iterator[Link]:
    """A target that runs `image`. port: a serial port; else QEMU, which is stopped on leaving. options: more for QEMU.

    Raises InputError, ToolMissing, CheckFailed (it does not answer, or runs something else, or is another chip).
    """
    if port is None:
        with Qemu(image.board, image.elf, options) as stream:
            link = Link(stream, image.elf)
            link.wait_for_boot()
            yield link
        return
    with SerialPort(port, image.board.console.baud) as stream:
        link = Link(stream, image.elf, _PATIENCE_S)
        link.resync(sum(t["bytes"] for t in image.manifest["inputs"]))
        check_board(link, image)
        yield link


def check_board(link: Link, image: Image) -> None:
    """Is it the chip that the board file means, with all its RAM, at its clock, with this firmware? Raises CheckFailed."""
    board, found = image.board, retried(link, image, link.board)
    if board.flashing and board.flashing.chip_id and found["id"]:
        demand_chip(board, found["id"])
    for bit, memory in enumerate(m for m in board.memories if m.kind == "ram"):
        if found["missing"] >> bit & 1:
            raise CheckFailed(f"memory {memory.name!r} is not all there: {memory.size} bytes from {memory.origin:#010x}",
                              board.key, "correct the board file")
    if found["image"] != zlib.crc32(image.bin.read_bytes()):
        raise CheckFailed("the board runs another firmware than this one", board.key, "flash it: mcunas flash")
    if found["core_hz"] != board.clock_hz and board.emulate is None:
        raise CheckFailed(f"the clock did not start: the core runs at {found['core_hz'] / 1e6:g} MHz, not at "
                          f"{board.clock_hz / 1e6:g}", board.key, "check the board's crystal or clock bridge")


def retried(link: Link, image: Image, action: Callable[[], T], note: Callable[[str], None] = lambda text: None) -> T:
    """action(), again after what a serial line does to bytes; it must not rest on what an earlier action left behind.

    note: told of every failure. Raises CheckFailed after ATTEMPTS; a fault or an overflow at once.
    """
    input_bytes = sum(t["bytes"] for t in image.manifest["inputs"])
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return action()
        except (LinkError, DeviceError) as error:
            lost = isinstance(error, LinkError) or any(text in error.what for text in _LOST)
            if not lost:
                raise
            note(error.what)
            if attempt == ATTEMPTS:
                raise CheckFailed(f"gave up after {ATTEMPTS} attempts: {error.what}", image.board.key,
                                  "check the cable and the supply") from None
            link.resync(input_bytes)
    raise AssertionError
