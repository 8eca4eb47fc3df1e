# SPDX-License-Identifier: Apache-2.0
"""The programs that have to be installed: compiler, binutils, emulator. A missing one says how to install it."""
from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

from mcunas.errors import InputError, ToolMissing
from mcunas.paths import cache_dir

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


def host_compiler() -> tuple[str, ...]:
    """The host's C compiler: the words of $CC ("ccache gcc"), or gcc, or cc. Raises ToolMissing."""
    named = shlex.split(os.environ.get("CC", ""))
    if named and shutil.which(named[0]) is None:
        raise ToolMissing(f"CC names {named[0]!r}, which is no program",
                          fix="let CC name this machine's C compiler, or unset it")
    found = named or [path for path in (shutil.which("gcc"), shutil.which("cc")) if path][:1]
    if not found:
        raise ToolMissing("no host C compiler found", fix="on Debian: apt-get install gcc libc6-dev")
    return tuple(found)


def host_folder() -> Path:
    """Where programs for the host are kept: in the user's cache; where that cannot be written, until this process ends."""
    folder = cache_dir() / "host"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(_temporary().name)
    return folder if os.access(folder, os.W_OK | os.X_OK) else Path(_temporary().name)


@lru_cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="mcunas-")


@lru_cache
def compiler_version(*command: str) -> str:
    """What the compiler says it is; part of every cached object's key."""
    return subprocess.run([*command, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


def run_tool(command: list[str], cwd: Path) -> None:
    """Run a program on one input file, the third argument from the end. Raises InputError with its first error."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise InputError(f"{Path(command[0]).name} failed: {gist(done.stderr).replace(f'{cwd}/', '')}",
                         Path(command[-3]).name)


def gist(stderr: str) -> str:
    """The line that says what is wrong."""
    lines = stderr.strip().splitlines() or ["no message"]
    if missing := re.search(r"undefined reference to `(.+)'", stderr):
        return f"nothing defines {missing[1]}"
    return next((line for line in lines if "error:" in line.lower()), lines[-1])
