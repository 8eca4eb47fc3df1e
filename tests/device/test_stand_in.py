# SPDX-License-Identifier: Apache-2.0
"""A board that is not at hand: its core runs in QEMU with the board's memories and the very C of the board's build; and its
serial port is found by the USB ids in its file."""
from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from mcunas import api, device
from mcunas.board import Board
from mcunas.device import ports
from mcunas.device.stand_in import emulated, stand_in
from mcunas.errors import InputError
from tests.small_models import dense


@pytest.mark.parametrize("key", [key for key in Board.keys() if not Board.load(key).emulate])
def test_every_board_without_emulator_has_a_stand_in_with_its_memory(key: str) -> None:
    board = Board.load(key)
    other = stand_in(board)
    assert other.emulate is not None and (other.cpu, other.isa, other.key) == (board.cpu, board.isa, key)
    assert [(m.name, m.size) for m in other.memories] == [(m.name, m.size) for m in board.memories]
    assert other.arenas == board.arenas and other.flash_bytes == board.flash_bytes


@pytest.mark.parametrize("key", ["nucleo-h743zi2", "pico"])
def test_a_real_board_is_validated_without_one(key: str, tmp_path: Path) -> None:
    image = api.build(dense(40, 6), key, tmp_path)
    other = emulated(image)
    assert (other.folder / "model.c").read_text() == (image.folder / "model.c").read_text()
    report = device.validate(image, n_random=2)
    assert report.passed and report.board == key and "QEMU" in report.cycles_source
    assert report.measured.flash_bytes == image.manifest["build"]["flash_bytes"]


def port(device: str, vid: int | None, pid: int, serial: str) -> SimpleNamespace:
    return SimpleNamespace(device=device, vid=vid, pid=pid, serial_number=serial)


def test_a_boards_port_is_found_by_its_usb_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    there = [port("/dev/ttyACM0", 0x0483, 0x374B, "066BFF"), port("/dev/ttyUSB0", 0x10C4, 0xEA60, "1"),
             port("/dev/ttyS0", None, 0, "")]
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: there)
    board = Board.load("nucleo-f446re")
    assert ports.find_port(board) == "/dev/ttyACM0"
    there.append(port("/dev/ttyACM1", 0x0483, 0x374E, "0031FF"))
    with pytest.raises(InputError, match="several serial ports may be .*; name one, --port or PORT=; connected: .*ttyACM1"):
        ports.find_port(board)
    assert ports.find_port(board, "0031") == "/dev/ttyACM1"
    with pytest.raises(InputError, match="its serial port is not there; name one, .*; connected: /dev/ttyACM0 "):
        ports.find_port(Board.load("microbit-v2"))
