# SPDX-License-Identifier: Apache-2.0
"""The checksum of a boot stage in flash: the RP2040's boot ROM runs the first 252 bytes only if the CRC-32 behind them is
right (RP2040 Datasheet 2.8.1.3.1: polynomial 0x04C11DB7, start 0xFFFFFFFF, nothing reflected or inverted).
"""
from __future__ import annotations

from pathlib import Path

from elftools.elf.elffile import ELFFile

STAGE_BYTES = 252


def crc32_mpeg2(data: bytes) -> int:
    crc = 0xFFFF_FFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C1_1DB7 if crc & 0x8000_0000 else 0)) & 0xFFFF_FFFF
    return crc


def seal(elf: Path) -> None:
    """Put the checksum behind the boot stage of a linked firmware, if it has one."""
    with elf.open("r+b") as file:
        section = ELFFile(file).get_section_by_name(".boot")
        if section is None or not section["sh_size"]:
            return
        stage = section.data()[:STAGE_BYTES]
        file.seek(section["sh_offset"] + STAGE_BYTES)
        file.write(crc32_mpeg2(stage).to_bytes(4, "little"))
