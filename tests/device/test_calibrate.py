# SPDX-License-Identifier: Apache-2.0
"""Calibrating an emulator finds its own numbers, on every core and through a serial port; the table prices programs."""
from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tomllib
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from mcunas import device
from mcunas.board import Board
from mcunas.cli import main
from mcunas.compiler import compile_graph
from mcunas.cost.benches import benches
from mcunas.device import serial_port
from mcunas.device.bench_code import benchmarks
from mcunas.device.calibrate import Calibrated, build_benchmarks, calibrate
from mcunas.errors import CheckFailed, InputError
from mcunas.graph import write_tflite
from mcunas.paths import boards_dir
from mcunas.timing import Timing
from tests.device.stubs import stub
from tests.device.target import built, on_a_port
from tests.small_models import dense

# What costs nothing where every instruction takes one cycle, whatever it moves and wherever it goes.
FREE = {"load_literal", "per_word", "address_stall", "mispredict", "refill", "refill_call", "refill_register", "refill_load"}


@cache
def emulated(key: str) -> tuple[Calibrated, tuple[tuple[int, int], ...]]:
    """A board's calibration in QEMU, and the progress that it told."""
    steps: list[tuple[int, int]] = []
    return calibrate(Board.load(key), progress=lambda done, of: steps.append((done, of))), tuple(steps)


def own_board(key: str, folder: Path) -> Board:
    """A copy of a board's file, with nothing beside it."""
    return Board.load(shutil.copy(boards_dir() / f"{key}.toml", folder))


@pytest.mark.parametrize("key", Board.cores())
def test_every_instruction_of_the_emulator_takes_a_cycle(key: str) -> None:
    found, steps = emulated(key)
    assert found.calibration.counter == "timer, one cycle is one instruction"
    assert found.fitted.timing.issue == "single" and found.fitted.error_percent == 0
    for f in fields(Timing)[1:]:
        if f.name not in found.calibration.undecided:
            assert getattr(found.fitted.timing, f.name) == (0.0 if f.name in FREE else 1.0,), f.name
    for line in found.fitted.lines:
        assert line.cycles == line.instructions == line.model, line.name
    assert found.fitted.cycles_per_instruction == (1, 1, 1)
    assert steps[0] == (0, len(found.fitted.lines)) and steps[-1] == (len(found.fitted.lines),) * 2


@pytest.mark.parametrize("key", ["mps2-an385-m0plus", "mps3-an547"])
def test_a_boards_own_table_comes_first_and_prices_a_program(key: str, tmp_path: Path) -> None:
    board, model = own_board(key, tmp_path), dense(64, 20)
    assert board.cycle_model == board.core_cycle_model == Board.load(key).cycle_model
    board.calibration_path.parent.mkdir()
    board.calibration_path.write_text(emulated(key)[0].text)
    board = Board.load(board.path)
    assert board.cycle_model.core == board.cpu and board.core_cycle_model == Board.load(key).cycle_model
    image = device.build(compile_graph(model, board), board, tmp_path / "out", tflite=write_tflite(model))
    found = device.profile(image)
    assert found.total.instructions == found.total.cycles == found.total.low == found.total.high > 500
    date = board.cycle_model.calibration.date
    assert f"calibrated on {date} (QEMU " in found.cycles_source
    assert f"calibrated on {date} (QEMU " in device.validate(image, n_random=1).cycles_source


def test_a_table_of_another_core_is_refused(tmp_path: Path) -> None:
    board = own_board("microbit", tmp_path)
    board.calibration_path.parent.mkdir()
    shutil.copy(boards_dir() / "cost/cortex-m4.toml", board.calibration_path)
    with pytest.raises(InputError, match="was measured on a cortex-m4, the board has a cortex-m0; calibrate again"):
        assert board.cycle_model


def test_a_port_is_measured_with_the_cores_own_counter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = own_board("mps2-an386", tmp_path)
    image = build_benchmarks(benchmarks(benches(board.isa)), board, tmp_path / "firmware")
    with on_a_port(image) as (port, _), pytest.raises(SystemExit) as leave:
        main(["calibrate", "--board", str(board.path), "--port", port])
    assert leave.value.code == 0
    table = tomllib.loads(board.calibration_path.read_text())
    assert table["calibration"]["counter"] == "SysTick"     # QEMU has registers of a DWT, but its CYCCNT stands still
    # 64 ns of emulated time for an instruction, at 25 MHz
    assert {b["name"]: b["cycles"] for b in table["calibration"]["benches"]}["alu"] == 1.6
    assert Board.load(board.path).cycle_model.timing.load_behind_load == (1.6,)
    said = capsys.readouterr().out
    assert "an addition takes 1.600 cycles" in said and f"wrote {board.calibration_path}" in said


def test_another_firmware_on_the_port_is_refused(tmp_path: Path) -> None:
    with on_a_port(built(stub(), "mps2-an386", tmp_path)) as (port, _), pytest.raises(CheckFailed) as raised:
        calibrate(Board.load("mps2-an386"), port=port)
    assert re.search(r"does not run the calibration firmware calibrate-\w{8}; flash the one", str(raised.value))


def test_a_cable_that_is_pulled_ends_in_one_line(tmp_path: Path) -> None:
    board = Board.load("microbit")
    with on_a_port(build_benchmarks(benchmarks(benches(board.isa)), board, tmp_path)) as (port, process):
        with pytest.raises(CheckFailed, match=rf"{port}: the serial port failed: "):
            calibrate(board, port=port, progress=lambda done, of: process.kill() if done == 5 else None)


def test_a_silent_port_ends_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial_port, "_ANSWER_S", 0.1)
    monkeypatch.setattr("mcunas.device.calibrate._GREETING_S", 0.3)
    master, slave = os.openpty()
    try:
        with pytest.raises(CheckFailed, match=r"did not answer 'profile' within 0.3 s; flash the calibration firmware"):
            calibrate(Board.load("mps2-an386"), port=os.ttyname(slave))
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize(("number", "fix"), [(errno.EAGAIN, "another program has it open"), (errno.EACCES, "dialout")])
def test_a_port_that_is_taken_or_forbidden_says_what_to_do(number: int, fix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise serial_port.serial.SerialException(number, "could not open port")

    monkeypatch.setattr(serial_port.serial, "Serial", refuse)
    with pytest.raises(InputError, match=fix):
        serial_port.SerialPort("/dev/ttyACM0", 115_200)


def test_a_port_that_is_not_there_is_said_before_anything_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="/dev/none: the serial port cannot be opened .*; name the port"):
        calibrate(Board.load("mps2-an386"), port="/dev/none")


def test_an_emulators_table_is_written_only_where_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                             capsys: pytest.CaptureFixture[str]) -> None:
    board = own_board("microbit", tmp_path)
    monkeypatch.setattr("mcunas.device.calibrate.calibrate", lambda *_, **__: emulated("microbit")[0])
    for more in ([], ["--out", str(tmp_path / "mine.toml")]):
        with pytest.raises(SystemExit) as leave:
            main(["calibrate", "--board", str(board.path), "--json", *more])
        assert leave.value.code == 0
        found = json.loads(capsys.readouterr().out)
        assert found["timing"]["refill"] == [0.0] and found["file"] == (more[1] if more else None)
    assert (tmp_path / "mine.toml").exists() and not board.calibration_path.exists()


def test_a_board_without_emulator_says_how_it_is_reached(tmp_path: Path) -> None:
    text = (boards_dir() / "microbit.toml").read_text()
    (tmp_path / "real.toml").write_text(re.sub(r"^emulate .*$", "", text, flags=re.MULTILINE))
    with pytest.raises(InputError, match=r"real: has no emulator; keep the firmware with --firmware DIR, flash it"):
        calibrate(Board.load(tmp_path / "real.toml"))
    with pytest.raises(InputError, match=r"has no emulator; flash .*firmware.elf and name the board's --port"):
        calibrate(Board.load(tmp_path / "real.toml"), firmware=tmp_path / "out")
    assert (tmp_path / "out/firmware.bin").exists()
