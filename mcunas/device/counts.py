# SPDX-License-Identifier: Apache-2.0
"""How often each piece of code runs in one inference, told apart by the call that ran it: QEMU with count.c as plugin.

The plugin is built for the host on first use. Counts are exact: they start with the model's invoke function and end
with its return, and repeat to the instruction.
"""
from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from elftools.elf.elffile import ELFFile

from mcunas.device.build import Image
from mcunas.device.run import connect
from mcunas.device.toolchain import compiler_version, gist, host_compiler, host_folder, tool
from mcunas.device.validate import instructions
from mcunas.errors import CheckFailed, ToolMissing

_FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow", "-fPIC", "-shared")
_SOURCE = Path(__file__).with_name("count.c")


@dataclass(frozen=True)
class Run:
    """A straight-line block: `size` bytes of code from `start`, entered `runs` times, and left `taken` times for another
    address than the next. site: the call in invoke that led there, its address; 0: invoke's own code.

    Where the board's flash has wait states, the lines of it that were read: jump_lines of code after a jump, next_lines
    of code that follow what was executed before, data_lines by loads.
    """

    site: int
    start: int
    size: int
    runs: int
    taken: int
    jump_lines: int
    next_lines: int
    data_lines: int


@dataclass(frozen=True)
class Counts:
    """blocks: what one inference executes. timer_instructions: the same inference counted by the emulated timer, without
    the call of invoke itself; None: it has none."""

    blocks: tuple[Run, ...]
    timer_instructions: int | None


def count(image: Image, seed: int = 0) -> Counts:
    """Run one inference on pseudo-random input and count it. Raises ToolMissing, CheckFailed, InputError."""
    start, size = invoke_code(image.elf)
    with tempfile.TemporaryDirectory(prefix="mcunas-") as folder:
        out = Path(folder) / "counts"
        arguments = f"file={_word(plugin())},from={start:#x},to={start + size:#x},out={_word(out)}"
        if fetch := image.board.fetch:
            flash = image.board.flash
            arguments += (f",flash={flash.origin:#x},flash_end={flash.end:#x},line={fetch.line_bytes}"
                          f",code_lines={fetch.code_lines},data_lines={fetch.data_lines}")
        with connect(image, ("-plugin", arguments)) as link:
            executed = instructions(link, image, seed=seed)
        head, *lines = out.read_text().splitlines() if out.exists() else ["calls 0"]
    if head != "calls 1":
        raise CheckFailed(f"the counted run entered invoke {head.removeprefix('calls ')} times, not once", image.board.key)
    blocks = tuple(sorted((Run(*(int(word, 16) for word in line.split())) for line in lines),
                          key=lambda run: (run.site, run.start, run.size)))
    return Counts(blocks, executed)


def _word(path: Path) -> str:
    """As QEMU's options want it: there a comma ends a word."""
    return str(path).replace(",", ",,")


def invoke_code(elf: Path) -> tuple[int, int]:
    """(address, bytes) of the model's invoke function. Raises CheckFailed."""
    with elf.open("rb") as file:
        for symbol in ELFFile(file).get_section_by_name(".symtab").iter_symbols():
            if symbol.name == "invoke" and symbol["st_info"]["type"] == "STT_FUNC":
                return symbol["st_value"] & ~1, symbol["st_size"]
    raise CheckFailed("there is no function invoke", where=str(elf))


@lru_cache
def _takes_plugins(qemu: str) -> bool:
    """Does this QEMU load plugins of interface 1? From 9.0 on it refuses them."""
    version = re.search(r"version (\d+)\.", compiler_version(qemu))
    options = subprocess.run([qemu, "-help"], capture_output=True, text=True, check=False).stdout
    return version is not None and 5 <= int(version[1]) <= 8 and "\n-plugin " in options


def plugin() -> Path:
    """The plugin for this host, built if it is not in the cache. Raises ToolMissing."""
    if not _takes_plugins(tool("qemu-system-arm")):
        raise ToolMissing("this qemu-system-arm does not take the counting plugin", fix="use QEMU 5 to 8 with TCG plugins")
    compiler = host_compiler()
    state = hashlib.sha256(" ".join((*compiler, compiler_version(*compiler), *_FLAGS)).encode() + _SOURCE.read_bytes())
    library = host_folder() / f"count-{state.hexdigest()[:24]}.so"
    if library.exists():
        return library
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        built = Path(folder) / "count.so"
        done = subprocess.run([*compiler, *_FLAGS, str(_SOURCE), "-o", str(built)], capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            raise ToolMissing(f"{compiler[-1]} does not compile the counting plugin: {gist(done.stderr)}",
                              fix="let CC name this machine's C compiler, or unset it")
        os.replace(built, library)
    return library
