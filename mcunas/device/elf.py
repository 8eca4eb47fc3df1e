# SPDX-License-Identifier: Apache-2.0
"""Reads the linked firmware: section sizes, symbols, and which function and line an address belongs to."""
from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from mcunas.device.toolchain import tool


@dataclass(frozen=True)
class ElfInfo:
    """Sizes in bytes. `flash_bytes` is what lies in flash: code, constants and the start values of data."""

    sections: dict[str, int]
    symbols: dict[str, int]
    flash_bytes: int

    def between(self, start: str, end: str) -> int:
        return self.symbols[end] - self.symbols[start]

    @property
    def arena_bytes(self) -> int:
        """Of all memories."""
        return sum(size for name, size in self.sections.items() if name.startswith(".arena"))

    @property
    def stack_bytes(self) -> int:
        return self.between("_stack_bottom", "_stack_top")

    @property
    def data_bytes(self) -> int:
        """RAM of the firmware itself besides the stack: .data, .bss and the guard behind the arena."""
        return sum(self.sections.get(name, 0) for name in (".data", ".bss", ".guard"))


def read_elf(path: Path) -> ElfInfo:
    with path.open("rb") as file:
        elf = ELFFile(file)
        sections = {s.name: s["sh_size"] for s in elf.iter_sections() if s["sh_flags"] & SH_FLAGS.SHF_ALLOC}
        table = elf.get_section_by_name(".symtab")
        symbols = {s.name: s["st_value"] for s in table.iter_symbols() if s["st_shndx"] != "SHN_UNDEF"}
        loaded = [s for s in elf.iter_segments() if s["p_type"] == "PT_LOAD" and s["p_filesz"]]
        flash_bytes = max(s["p_paddr"] + s["p_filesz"] for s in loaded) - min(s["p_paddr"] for s in loaded)
    return ElfInfo(sections, symbols, flash_bytes)


def locate(path: Path, address: int) -> str:
    """`function (file:line)` for a code address, or "" where there is none."""
    done = subprocess.run([tool("arm-none-eabi-addr2line"), "-f", "-s", "-e", str(path), hex(address & ~1)],
                          capture_output=True, text=True, errors="replace", check=False)
    function, _, line = done.stdout.strip().partition("\n")
    return "" if function in ("", "??") else f"{function} ({line.split(' ')[0]})"
