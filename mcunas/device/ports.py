# SPDX-License-Identifier: Apache-2.0
"""Serial ports: the one that a board's console appears as, by the USB ids in its file."""
from __future__ import annotations

from typing import Any

from mcunas.board import Board
from mcunas.errors import InputError


def usb_ports() -> list[Any]:
    """pyserial's ports that hang on USB."""
    from serial.tools import list_ports

    return [port for port in list_ports.comports() if port.vid is not None]


def usb_id(port: Any) -> str:
    return f"{port.vid:04x}:{port.pid:04x}"


def port_of(board: Board, asked: str | None, serial: str | None = None) -> str | None:
    """The port that is asked for, where "usb" is that of `board`'s console. serial: see `find_port`. Raises InputError."""
    return find_port(board, serial) if asked == "usb" else asked


def find_port(board: Board, serial: str | None = None) -> str:
    """The device of `board`'s console. serial: of the probe that carries it, or its beginning. Raises InputError."""
    ports = usb_ports()
    found = [p for p in ports if usb_id(p) in board.console.usb
             and (serial is None or (p.serial_number or "").lower().startswith(serial.lower()))]
    if len(found) == 1:
        return found[0].device
    shown = ", ".join(f"{p.device} ({usb_id(p)}, serial {p.serial_number})" for p in found or ports) or "none"
    what = "several serial ports may be its console" if found else "its serial port is not there"
    raise InputError(what, board.key, f"name one, --port or PORT=; connected: {shown}")
