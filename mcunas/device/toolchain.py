# SPDX-License-Identifier: Apache-2.0
"""The programs that have to be installed: compiler, binutils, emulator. A missing one says how to install it."""
from __future__ import annotations

import shutil
import subprocess
from functools import lru_cache

from mcunas.errors import ToolMissing

_PACKAGES = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "arm-none-eabi-objcopy": "binutils-arm-none-eabi",
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
