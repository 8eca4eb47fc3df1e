# SPDX-License-Identifier: Apache-2.0
"""The code of a firmware as instructions, by arm-none-eabi-objdump."""
from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mcunas.board import Board
from mcunas.cost.thumb import Instruction
from mcunas.device.toolchain import gist, tool
from mcunas.errors import CheckFailed

_LINE = re.compile(r"\s*([0-9a-f]+):\t((?:[0-9a-f]{4} ?)+)\s*\t(\S+)\s*(.*)")
_NAME = re.compile(r"([0-9a-f]+) <(.+)>:")


@dataclass(frozen=True)
class Code:
    """instructions and functions (names) by address; `function` tells where an address belongs."""

    instructions: dict[int, Instruction]
    functions: dict[int, str]

    @cached_property
    def _starts(self) -> list[int]:
        return sorted(self.functions)

    def function(self, address: int) -> str:
        """Name of the function that `address` lies in; gcc's clones (name.constprop.0, name.part.0) keep their suffix."""
        from bisect import bisect_right

        at = bisect_right(self._starts, address) - 1
        return self.functions[self._starts[at]] if at >= 0 else ""

    def span(self, start: int, size: int) -> tuple[Instruction, ...]:
        """The instructions of `size` bytes from `start`. Raises CheckFailed where the disassembly has none."""
        found, at = [], start
        while at < start + size:
            if at not in self.instructions:
                raise CheckFailed(f"no instruction at {at:#x} in the disassembly")
            found.append(self.instructions[at])
            at += found[-1].size
        return tuple(found)


def disassemble(elf: Path, board: Board) -> Code:
    """All code of `elf`. Raises ToolMissing, CheckFailed."""
    # By the ELF's attributes alone, objdump takes MVE for coprocessor instructions.
    machine = ["-m", "armv8.1-m.main"] if board.isa == "mve" else []
    done = subprocess.run([tool("arm-none-eabi-objdump"), "-d", *machine, str(elf)], capture_output=True, check=False,
                          text=True, errors="replace")
    if done.returncode != 0:
        raise CheckFailed(f"objdump failed: {gist(done.stderr)}", where=str(elf))
    instructions, functions = {}, {}
    for line in done.stdout.splitlines():
        if match := _LINE.match(line):
            address = int(match[1], 16)
            size = 2 * len(match[2].split())
            instructions[address] = Instruction(address, size, match[3], match[4])
        elif match := _NAME.match(line):
            functions[int(match[1], 16)] = match[2]
    return Code(instructions, functions)
