# SPDX-License-Identifier: Apache-2.0
"""The programs that have to be installed: compiler, binutils, emulator. A missing one says how to install it."""
from __future__ import annotations

import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

from mcunas.errors import InputError, ToolMissing

_PACKAGES = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "arm-none-eabi-objcopy": "binutils-arm-none-eabi",
    "arm-none-eabi-objdump": "binutils-arm-none-eabi",
    "arm-none-eabi-addr2line": "binutils-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
}


def tool(name: str) -> str:
    """Path of a program. Raises ToolMissing with the line that installs it."""
    path = shutil.which(name)
    if path is None:
        raise ToolMissing(f"{name} is not installed", fix=f"on Debian: apt-get install {_PACKAGES[name]}")
    return path


@lru_cache
def compiler_version(path: str) -> str:
    """What the compiler says it is; part of every cached object's key."""
    return subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


def run_tool(command: list[str], cwd: Path) -> None:
    """Run a program on one input file, the third argument from the end. Raises InputError with its first error."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InputError(f"{Path(command[0]).name} failed: {gist(done.stderr).replace(f'{cwd}/', '')}",
                         Path(command[-3]).name)


def gist(stderr: str) -> str:
    """The line that says what is wrong."""
    lines = stderr.strip().splitlines() or ["no message"]
    if missing := re.search(r"undefined reference to `(.+)'", stderr):
        return f"nothing defines {missing[1]}"
    return next((line for line in lines if "error:" in line.lower()), lines[-1])
