# SPDX-License-Identifier: Apache-2.0
"""Board files: what ships is sound and the compiler agrees with it; what is wrong is said in one line."""
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mcunas.board import Board
from mcunas.board_parts import GUARD_BYTES, Console
from mcunas.errors import InputError
from mcunas.paths import boards_dir

# KiB of RAM and flash, and MHz, of the whole board, from the vendors' manuals; a second time on purpose.
SIZES = {
    "b-l475e-iot01a": (128, 1024, 80),
    "lm3s6965evb": (64, 256, 50),
    "microbit": (16, 256, 16),
    "microbit-v2": (128, 512, 64),
    "mps2-an385": (4096, 4096, 25),
    "mps2-an385-m0plus": (4096, 4096, 25),
    "mps2-an386": (4096, 4096, 25),
    "mps2-an500": (4096, 4096, 25),
    "mps2-an505": (4096, 4096, 20),
    "mps3-an547": (512, 512, 32),
    "nano33ble-sense": (256, 1024 - 64, 64),
    "netduinoplus2": (128, 1024, 168),
    "nrf52840-dk": (256, 1024, 64),
    "nrf5340-dk": (512, 1024, 128),
    "nucleo-f411re": (128, 512, 100),
    "nucleo-f446re": (128, 512, 180),
    "nucleo-f767zi": (512, 2048, 216),
    "nucleo-g0b1re": (144, 512, 64),
    "nucleo-h743zi2": (128 + 512 + 288, 2048, 480),
    "nucleo-l4r5zi": (640, 2048, 120),
    "nucleo-u575zi-q": (768, 2048, 160),
    "pico": (264, 2048, 125),
    "pico2": (520, 4096, 150),
    "stm32f746g-disco": (320, 1024, 216),
    "stm32vldiscovery": (8, 128, 24),
}
REAL = [key for key in SIZES if not key.startswith("mps")]
MACROS = {
    "cortex-m0": "__ARM_ARCH_6M__", "cortex-m0plus": "__ARM_ARCH_6M__", "cortex-m3": "__ARM_ARCH_7M__",
    "cortex-m4": "__ARM_ARCH_7EM__", "cortex-m7": "__ARM_ARCH_7EM__", "cortex-m33": "__ARM_ARCH_8M_MAIN__",
    "cortex-m55": "__ARM_ARCH_8M_MAIN__",
}


def test_the_boards_are_these() -> None:
    assert Board.keys() == tuple(sorted(SIZES))


@pytest.mark.parametrize("key", Board.keys())
def test_sizes_are_the_manuals(key: str) -> None:
    board = Board.load(key)
    ram = [m.size for m in board.memories if m.kind == "ram"]
    assert (sum(ram), board.flash.size, board.clock_hz) == (
        SIZES[key][0] * 1024, SIZES[key][1] * 1024, SIZES[key][2] * 1_000_000)
    assert board.ram_bytes == sum(ram) - board.reserve.ram - board.reserve.stack - (len(ram) - 1) * GUARD_BYTES
    assert board.flash_bytes == board.flash.size - board.reserve.flash


@pytest.mark.parametrize("key", Board.keys())
def test_the_compiler_knows_the_core_as_the_file_describes_it(key: str) -> None:
    board = Board.load(key)
    done = subprocess.run(["arm-none-eabi-gcc", *board.cflags, "-dM", "-E", "-x", "c", "/dev/null"],
                          capture_output=True, text=True, check=True)
    macros = {line.split()[1] for line in done.stdout.splitlines()}
    assert MACROS[board.cpu] in macros
    isa = ("mve" if "__ARM_FEATURE_MVE" in macros else "dsp" if "__ARM_FEATURE_DSP" in macros else
           "m0" if "__ARM_ARCH_6M__" in macros else "m3")
    assert board.isa == isa
    assert bool(board.fpu) == ("__ARM_FP" in macros)


@pytest.mark.parametrize("key", Board.keys())
def test_cycles_per_instruction_have_a_source_and_a_bar(key: str) -> None:
    model = Board.load(key).cycle_model
    assert model.core == Board.load(key).cpu and model.source
    assert 0.5 < model.low < model.cycles_per_instruction < model.high < 4


@pytest.mark.parametrize("path", sorted(boards_dir().glob("*.toml")), ids=lambda path: path.stem)
def test_a_board_file_is_short_and_names_its_sources(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 70
    assert "Sources: " in text


@pytest.mark.parametrize("key", REAL)
def test_a_real_board_says_how_it_is_flashed_and_heard(key: str) -> None:
    board = Board.load(key)
    assert board.flashing is not None and board.flashing.tools and board.flashing.chip_id
    assert board.console.tx != board.console.rx
    assert board.timer.hz % 1_000_000 == 0 and board.clock_hz % board.timer.hz == 0


def test_one_emulated_machine_stands_for_each_core() -> None:
    tables = [Board.load(key).cost_table for key in Board.cores()]
    assert sorted(tables) == sorted({Board.load(key).cost_table for key in Board.keys()})


def test_an_unknown_key_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown board 'mps2-an368'; did you mean 'mps2-an38\d'\?"):
        Board.load("mps2-an368")


def edited(tmp_path: Path, *edits: tuple[str, str]) -> Path:
    text = (boards_dir() / "mps2-an386.toml").read_text()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_a_path_is_as_good_as_a_key(tmp_path: Path) -> None:
    path = edited(tmp_path, ("0x40_0000", "0x08_0000"))
    board = Board.load(path)
    assert board.key == "mine" and board.flash.size == 0x8_0000
    assert board.cycle_model == Board.load("mps2-an386").cycle_model
    assert Board.load(str(path)) == board


def test_a_copy_of_a_board_is_not_taken_for_the_board(tmp_path: Path) -> None:
    copy = edited(tmp_path, ("0x40_0000", "0x08_0000")).rename(tmp_path / "mps2-an386.toml")
    assert Board.load("mps2-an386").reference == Board.load(boards_dir() / "mps2-an386.toml").reference == "mps2-an386"
    assert Board.load(Board.load(copy).reference) == Board.load(copy) != Board.load("mps2-an386")


def test_a_cost_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = edited(tmp_path, ('cost    = "cortex-m4"', 'cost    = "cortex-m44"'))
    with pytest.raises(InputError, match="mine.toml: cost 'cortex-m44' is no table; did you mean 'cortex-m4'"):
        _ = Board.load(path).cycle_model


@pytest.mark.parametrize(("edit", "message"), [
    (("clock_hz", "clok_hz"), "core: unknown key 'clok_hz'; did you mean 'clock_hz'"),
    (("timer  ", "tiemr  "), "unknown key 'tiemr'; did you mean 'timer'"),
    (("25_000_000\n\n[[memory]]", '"25 MHz"\n\n[[memory]]'), "core: clock_hz: must be of type int, not str"),
    (('isa      = "dsp"\n', ""), "core: key 'isa' is missing"),
    (('isa      = "dsp"', 'isa      = "simd"'), "isa 'simd' is unknown; use one of scalar, m0, m3, dsp, mve"),
    (("origin = 0x2000_0000", "origin = 0x003F_FFFF"), "memories 'ssram1' and 'ssram23' overlap"),
    (('"stack", "arena"]', '"stack"]'), "one ram region must be used for 'arena'"),
    (('"stack", "arena"]', '"stack", "arena", "heap"]'), "cannot be used for 'heap'"),
    (('kind   = "ram"', 'kind   = "rom"'), "kind 'rom'; use flash or ram"),
    (("icount_shift = 6", "icount_shift = 5"), "timer is too slow"),
    (("[core]", "[core"), "is not TOML"),
    (("icount_shift = 6", "icount_shif = 6"), "emulate: unknown key 'icount_shif'; did you mean 'icount_shift'"),
    (("[core]", 'clock = { source = "hsi", hz = 16_000_000 }\n[core]'), "16000000 / 1 * 1 / 1 is not [core] clock_hz 25"),
    (("[core]", 'clock = { source = "his", hz = 25_000_000 }\n[core]'), "source 'his' is unknown; did you mean 'hsi'"),
    (("[core]", 'flash = { tools = ["pyocf"] }\n[core]'), "tool 'pyocf' is unknown; did you mean 'pyocd'"),
    (("[core]", 'flash = { tools = ["pyocd"] }\n[core]'), "lists pyocd and not what it calls this board"),
    (("baud   = 115_200", 'baud   = 115_200\ntx     = "A2"'), "[console] 'A2' is no pin; write PA2, P0.24 or GP0"),
    (("baud   = 115_200", 'baud   = 115_200\nusb    = ["0483-374B"]'), "usb '0483-374B' is no VID:PID; write it like 0483:"),
    (("size   = 0x40_0000\nuse", "size   = 0\nuse"), "memory 'ssram23' has no size"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, edit: tuple[str, str], message: str) -> None:
    path = edited(tmp_path, edit)
    with pytest.raises(InputError) as raised:
        Board.load(path)
    assert message in str(raised.value) and str(path) in str(raised.value)


def test_pins_are_numbered_as_their_chips_number_them() -> None:
    assert [Console.pin_number(name) for name in ("", "PA2", "PG8", "P0.24", "P1.08", "GP1")] == [0, 2, 104, 24, 40, 1]


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        Board.load(tmp_path / "none.toml")
