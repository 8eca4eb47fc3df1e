# SPDX-License-Identifier: Apache-2.0
"""Building: the same bytes from wherever, budgets that the linker holds, and nothing left behind by a failure."""
from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from mcunas.board import Board
from mcunas.compiler import compile_graph
from mcunas.device.build import Image, build
from mcunas.device.elf import read_elf
from mcunas.errors import DoesNotFit, InputError, ToolMissing
from mcunas.paths import firmware_dir
from tests.compiler.passes_by_hand import Net
from tests.device.stubs import ARENA_BYTES, stub
from tests.device.target import built

OBJECTS, LAYOUT, SBOM = (import_module(f"mcunas.device.{name}") for name in ("objects", "layout", "sbom"))
KERNEL = stub("arena[0] = 1;", "#include \"mn_kernels.h\"")


@pytest.mark.parametrize("goal", ["balanced", "flash"])
def test_two_builds_give_the_same_bytes(goal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From another folder, another copy of the sources, and without cached objects."""
    images = []
    for name in ("one", "another/place"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name / "cache"))
        copy = tmp_path / name / "firmware"
        shutil.copytree(firmware_dir(), copy)
        for module in (OBJECTS, LAYOUT, SBOM):
            monkeypatch.setattr(module, "firmware_dir", lambda copy=copy: copy)
        images.append(built(replace(KERNEL, optimize=goal), "mps2-an505", tmp_path / name / "out"))
    for name in ("firmware.elf", "firmware.bin", "firmware.hex", "firmware.map", "manifest.json", "sbom.cdx.json"):
        one, other = ((image.folder / name).read_bytes() for image in images)
        assert one == other, name
    assert str(tmp_path).encode() not in images[0].elf.read_bytes()


def test_cached_objects_are_used_and_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first = built(stub(), "mps2-an386", tmp_path / "first").elf.read_bytes()
    ran: list[str] = []
    original = OBJECTS.run_tool
    monkeypatch.setattr(OBJECTS, "run_tool", lambda command, cwd: (ran.append(command[-3]), original(command, cwd)))
    assert built(stub(), "mps2-an386", tmp_path / "second").elf.read_bytes() == first
    assert sorted(Path(source).name for source in ran) == ["image.c", "model.c"]


def test_the_arena_is_one_number_everywhere(tmp_path: Path) -> None:
    image = built(stub(), "mps2-an386", tmp_path)
    info = read_elf(image.elf)
    assert info.arena_bytes == info.sections[".arena"] == image.manifest["build"]["arena_bytes"] == ARENA_BYTES
    line = next(x for x in (tmp_path / "firmware.map").read_text().splitlines() if x.startswith(".arena "))
    assert int(line.split()[2], 16) == ARENA_BYTES
    assert len(image.bin.read_bytes()) == info.flash_bytes == image.manifest["build"]["flash_bytes"]


def test_a_built_image_can_be_loaded_again(tmp_path: Path) -> None:
    image = build(stub(), Board.load("microbit"), tmp_path, tflite=b"model")  # type: ignore[arg-type]
    again = Image.load(tmp_path)
    assert again == image and again.tflite is not None and again.tflite.read_bytes() == b"model"
    with pytest.raises(InputError, match="build one first"):
        Image.load(tmp_path / "nowhere")


BIG_TABLE = "static const uint8_t table[300000] = {1};"


@pytest.mark.parametrize(("model", "limits", "message"), [
    (stub(arena_bytes=20_000), {}, r"microbit: the model does not fit: the arena is 20000 bytes, the RAM budget 14592"),
    (stub("arena[0] = table[arena[1]];", BIG_TABLE), {},
     r"the image is 30\d{4} bytes, 262144 are allowed \(254528 for the model, 7616 for the firmware"),
    (stub(), {"ram_bytes": 200}, r"the arena is 256 bytes, the RAM budget 200"),
    (stub("arena[0] = table[arena[1]];", BIG_TABLE.replace("300000", "5000")), {"flash_bytes": 4000},
     r"the image is 12\d{3} bytes, 11616 are allowed"),
], ids=["RAM", "flash", "RAM budget", "flash budget"])
def test_what_does_not_fit_is_refused_in_words(tmp_path: Path, model, limits: dict[str, int], message: str) -> None:
    with pytest.raises(DoesNotFit, match=message) as raised:
        build(model, Board.load("microbit"), tmp_path / "out", **limits)
    assert raised.value.exit_code == 1 and "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_failed_build_leaves_the_last_good_one(tmp_path: Path) -> None:
    built(stub(), "mps2-an386", tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match="model.c: arm-none-eabi-gcc failed: .*error"):
        built(stub("this is not C;"), "mps2-an386", tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert json.loads(before["manifest.json"])["build"]["board"] == "mps2-an386"


def test_a_missing_compiler_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match="apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"):
        built(stub(), "mps2-an386", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_firmware_knows_no_malloc_and_no_printf(tmp_path: Path) -> None:
    symbols = read_elf(built(stub(), "mps2-an386", tmp_path).elf).symbols
    assert not {"malloc", "_malloc_r", "printf", "_sbrk", "__aeabi_dadd", "__aeabi_fadd"} & set(symbols)


@pytest.mark.parametrize("goal", ["balanced", "flash"])
def test_a_frame_that_could_skip_the_stack_guard_does_not_compile(goal: str, tmp_path: Path) -> None:
    frame = "volatile uint8_t x[800]; for (uint32_t i = 0; i < 800u; i++)\nx[i] = 1;\narena[0] = x[3];"
    with pytest.raises(InputError, match="frame size"):
        built(replace(stub(frame), optimize=goal), "mps2-an386", tmp_path)


def test_a_model_that_only_renames_builds(tmp_path: Path) -> None:
    net = Net(1, 4, 4, 2)
    board = Board.load("mps2-an386")
    assert build(compile_graph(net.graph(net.reshape(0, 1, 32)), board), board, tmp_path).elf.exists()
