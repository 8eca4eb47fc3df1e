# SPDX-License-Identifier: Apache-2.0
"""The fuzz targets, for a moment: their seeds, some hundred changes of them, and every input that once broke something."""
from __future__ import annotations

import shutil
import subprocess
from importlib import import_module
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import commands
from tests.fuzz.run import TARGETS
from tests.fuzz.text import changed

IN_PYTHON = [name for name in TARGETS if name not in ("commands", "graphs")]
CHANGES = {"genotype": 300, "board": 60, "link": 300, "tflite": 150}


def flipped(data: bytes, random: Random) -> bytes:
    """A byte changed, and sometimes the end cut off."""
    found = bytearray(data)
    found[random.randrange(len(found))] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
    return bytes(found[:random.randrange(len(found))] if random.random() < 0.2 else found)


@pytest.mark.parametrize("name", IN_PYTHON)
def test_seeds_and_some_changes_of_them_do_no_harm(name: str) -> None:
    target, random = import_module(f"tests.fuzz.{name}"), Random(name)
    seeds = target.seeds()
    for data in seeds:
        target.once(data)
    for number in range(CHANGES[name]):
        data = random.choice(seeds)
        if name in ("board", "genotype"):
            data = changed(data, target.BYTES, number)
        target.once(flipped(data, random) if name in ("link", "tflite") or number % 3 == 0 else data)


FOUND = {
    "the end of a fault's report without its beginning": ("link", b"\x0a\x12e-fault-stop\r\n"),
    "a number that is none in an answer": ("link", b"\x08\x00m-bench-[ticks=x,empty=3]\r\n"),
    "an answer without one of its fields": ("link", b"\x06\x00m-mem-[arena=1]\r\n"),
    "a field that nobody knows": (
        "link", b"\x06\x00m-mem-[arena=1,arena_used=1,stack=1,stack_used=1,input=1,input_kept=1,x=2]\r\n"),
    "a box of five numbers": ("link", b"\x07\x00m-boxes-[1,2,3,4,5;]\r\n"),
    "a box beyond 32 bits": ("link", b"\x07\x00m-boxes-[0,0,16,16,55555555551,100;]\r\n"),
    "a number of 5000 digits": ("link", b"\x09\x00m-board-[id=" + b"9" * 5000 + b"]\r\n"),
    "a lap that is none": ("link", b"\x04\x00m-lap-us-1\r\nm-lap-us-\xff\r\n"),
    "an output that is not hex": ("link", b"\x05\x00m-out-[0g]\r\nm-out-crc32-[00000000]\r\n"),
    "lists in lists": ("genotype", b'{"start": "plain", "options": ' + b"[" * 3000),
    "tables in tables, which can be read and not copied": (
        "genotype", b'{"start": "plain", "options": ' + b'{"a":' * 400 + b"1" + b"}" * 400 +
        b', "input_shape": [8, 8, 1], "classes": 2, "widths": {}}'),
    "a width beyond floating point": (
        "genotype", b'{"start": "plain", "options": {}, "input_shape": [8, 8, 1], "classes": 2, "widths": {"a": 1e999}}'),
    "a width that is no number": (
        "genotype", b'{"start": "plain", "options": {"a": NaN}, "input_shape": [8, 8, 1], "classes": 2, "widths": {}}'),
    "a shape of two": ("genotype", b'{"start": "plain", "options": {}, "input_shape": [8, 8], "classes": 2, "widths": {}}'),
    "a stride of nothing": (
        "genotype", b'{"start": "images", "options": {"stem": {"kernel": [3, 3], "channels": 8, "stride": [0, 0]}},'
        b'"input_shape": [32, 32, 3], "classes": 10, "widths": {}, "choices": {"s0_0": "conv3"}}'),
}


@pytest.mark.parametrize(("name", "data"), FOUND.values(), ids=FOUND.keys())
def test_what_once_broke_something(name: str, data: bytes) -> None:
    import_module(f"tests.fuzz.{name}").once(data)


BOARD = {
    "an exponent that fills the memory": (b"icount_shift = 6", b"icount_shift = 4000000000", "icount_shift is not 0 to 10"),
    "a memory that says more to the linker": (b'"ssram1"', b'"s } INCLUDE x {"', "is no name"),
    "a driver from elsewhere": (b'driver = "cmsdk"', b'driver = "../../x"', "is no name"),
    "an option of the emulator's": (b'qemu = "mps2-an386"', b'qemu = "mps2-an386,dumpdtb=x"', "is no name"),
    "a clock beyond 32 bits": (b"clock_hz = 25_000_000", b"clock_hz = 99_000_000_000", "does not fit into 32 bits"),
    "a number of 5000 digits": (b"baud   = 115_200", b"baud = " + b"9" * 5000, "is not TOML"),
}


@pytest.mark.parametrize(("old", "new", "said"), BOARD.values(), ids=BOARD.keys())
def test_a_board_file_that_would_do_harm_is_refused(old: bytes, new: bytes, said: str, tmp_path: Path) -> None:
    from mcunas.board import Board
    from mcunas.errors import InputError
    from mcunas.paths import boards_dir

    text = (boards_dir() / "mps2-an386.toml").read_bytes()
    assert old in text
    (tmp_path / "b.toml").write_bytes(text.replace(old, new, 1))
    with pytest.raises(InputError, match=said):
        Board.load(tmp_path / "b.toml")


@pytest.mark.skipif(shutil.which("clang") is None, reason="clang is not installed")
def test_the_firmware_takes_the_seeds_and_some_changes_of_them(tmp_path: Path) -> None:
    program, random = commands.build(tmp_path, fuzzer=False), Random(0)
    files = []
    for number in range(200):
        data = commands.seeds()[number % len(commands.seeds())]
        files.append(tmp_path / f"{number}")
        files[-1].write_bytes(data if number < len(commands.seeds()) else flipped(data, random))
    done = subprocess.run([str(program), *map(str, files)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
