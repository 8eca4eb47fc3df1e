# SPDX-License-Identifier: Apache-2.0
"""Every board's firmware is linked: what the boot ROM and the core look for is where they look, all else in its memory."""
from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from mcunas import api
from mcunas.board import Board
from mcunas.board_parts import MODEL_STACK_BYTES
from mcunas.device.boot import STAGE_BYTES, crc32_mpeg2
from mcunas.device.elf import read_elf
from mcunas.device.link import DeviceError
from mcunas.device.run import connect
from mcunas.errors import DoesNotFit
from tests.device.stubs import stub
from tests.device.target import built, seeded

EMPTY = stub("(void)arena;", arena_bytes=64, input_bytes=16)
BOOT_STAGE_BYTES = {"pico": 256}        # in front of the vector table
FAMILIES = {Board.load(key).family: key for key in Board.keys()}


@pytest.mark.parametrize("key", Board.keys())
def test_the_reserve_is_measured_and_everything_lies_in_its_memory(key: str, tmp_path: Path) -> None:
    """[reserve] is what the firmware takes with an empty model: never less, at most 512 bytes more."""
    board, image = Board.load(key), built(EMPTY, key, tmp_path)
    reserve, figures = board.reserve, image.manifest["build"]
    measured = {"flash": figures["flash_bytes"], "ram": figures["data_bytes"]}
    if board.emulate:
        with connect(image) as link:
            measured["stack"] = _stack_used(link) + MODEL_STACK_BYTES
            found = link.board()
        assert found["missing"] == 0 and (found["core_hz"] == board.clock_hz or board.clock)
    for name, size in measured.items():
        assert size <= getattr(reserve, name) <= size + 512, f"[reserve] {name} of {key}: measured {size}"
    _vectors_are_right(board, image.elf, image.bin.read_bytes())
    with image.elf.open("rb") as file:
        for section in ELFFile(file).iter_sections():
            start, end = section["sh_addr"], section["sh_addr"] + section["sh_size"]
            if section["sh_flags"] & SH_FLAGS.SHF_ALLOC and start < end:
                assert any(m.origin <= start and end <= m.end for m in board.memories), section.name


def _stack_used(link) -> int:
    seeded(link, count=16)
    for command in ("name", "profile", "timestamp", "help", "infer 2 1", "results", "out", "bench", "db load 16",
                    f"db {'00' * 16}", "db print", "unknown", "mem", "board"):
        with suppress(DeviceError):
            link.command(command)
    return link.memory().stack_used


def _vectors_are_right(board: Board, elf: Path, binary: bytes) -> None:
    symbols = read_elf(elf).symbols
    at = BOOT_STAGE_BYTES.get(board.key, 0)
    stack, reset, *others = struct.unpack_from("<16I", binary, at)
    assert stack == symbols["_stack_top"] and stack % 8 == 0 and reset == symbols["reset_handler"] | 1
    assert set(others) == {symbols["fault_handler"] | 1}
    assert symbols["vector_table"] == board.flash.origin + at and symbols["vector_table"] % 128 == 0


def test_the_picos_boot_stage_is_checked_and_enters_the_program(tmp_path: Path) -> None:
    binary = built(EMPTY, "pico", tmp_path).bin.read_bytes()
    assert struct.unpack_from("<I", binary, STAGE_BYTES)[0] == crc32_mpeg2(binary[:STAGE_BYTES])
    assert crc32_mpeg2(b"123456789") == 0x0376E6E7      # the catalogue's check value


def test_the_pico_2s_image_definition_is_in_the_first_4_kib(tmp_path: Path) -> None:
    binary = built(EMPTY, "pico2", tmp_path).bin.read_bytes()
    at = binary.index(struct.pack("<I", 0xFFFFDED3))
    assert at < 4096 and at % 4 == 0
    assert struct.unpack_from("<5I", binary, at) == (0xFFFFDED3, 0x10210142, 0x1FF, 0, 0xAB123579)


@pytest.mark.parametrize("key", Board.keys())
def test_a_real_model_links_for_every_board_or_is_said_not_to_fit(key: str, data_dir: Path, tmp_path: Path) -> None:
    """One with convolutions for every family; a plain and quick one for its other boards."""
    board, name = Board.load(key), "kws_ref_model" if key in FAMILIES.values() else "ad01_int8"
    try:
        image = api.build(data_dir / "mlperf_tiny" / f"{name}.tflite", board, tmp_path)
    except DoesNotFit as error:
        assert (board.ram_bytes < 9000 or board.flash.size < 0x50000) and name in str(error)
        return
    figures = image.manifest["build"]
    assert figures["flash_bytes"] == len(image.bin.read_bytes()) <= board.flash.size
    assert figures["arena_bytes"] == image.manifest["arena_bytes"] <= board.ram_bytes
