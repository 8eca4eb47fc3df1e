# SPDX-License-Identifier: Apache-2.0
"""QEMU as a byte stream: one process per firmware, its first serial port on a pair of pipes.

Pipes, because sockets and ptys are no faster: QEMU hands over received bytes one by one, 20 to 45 thousand a second on
the machine this was written on. -icount makes the emulated time a function of the executed instructions alone, so that
counts repeat to the instruction; it costs no throughput.
"""
from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import tempfile
import time
import weakref
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from mcunas.board import Board
from mcunas.device.toolchain import tool
from mcunas.errors import CheckFailed, InputError


class Qemu:
    """A running emulator; a context manager, and killed with its object at the latest. options: more of its command line.

    Raises InputError (board without emulator), ToolMissing, and CheckFailed when the process has ended.
    """

    def __init__(self, board: Board, elf: Path, options: Sequence[str] = ()) -> None:
        if board.emulate is None:
            raise InputError("has no emulator", board.key, "choose a board with an [emulate] section")
        self._messages = tempfile.TemporaryFile()
        program = tool("qemu-system-arm")
        self._process = subprocess.Popen(
            [*_ending_with_us(shutil.which("setpriv")), program, "-machine", board.emulate.qemu, "-icount",
             f"shift={board.emulate.icount_shift}", "-display", "none", "-monitor", "none", "-serial", "stdio", "-kernel",
             str(elf), *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._messages, bufsize=0)
        assert self._process.stdin and self._process.stdout
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        self._finalizer = weakref.finalize(self, _end, self._process)

    def read(self, timeout_s: float) -> bytes:
        """What has come, at least one byte; b"" when nothing comes in time."""
        if not select.select([self._out], [], [], timeout_s)[0]:
            return b""
        data = os.read(self._out, 65536)
        if not data:
            raise CheckFailed(self._last_words())
        return data

    def write(self, data: bytes, timeout_s: float) -> None:
        """All of `data`. Raises CheckFailed when the firmware does not take it in time."""
        deadline = time.monotonic() + timeout_s
        view = memoryview(data)
        while view:
            if not select.select([], [self._in], [], max(0.0, deadline - time.monotonic()))[1]:
                raise CheckFailed(f"the firmware took {len(data) - len(view)} of {len(data)} bytes in {timeout_s:g} s")
            try:
                view = view[os.write(self._in, view[:4096]):]
            except BlockingIOError:
                pass
            except BrokenPipeError:
                raise CheckFailed(self._last_words()) from None

    def close(self) -> None:
        """Kill the process and wait for it."""
        self._finalizer()
        self._messages.close()

    def __enter__(self) -> Qemu:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _last_words(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        self._messages.seek(0)
        lines = self._messages.read().decode(errors="replace").strip().splitlines()
        return f"QEMU ended with status {self._process.returncode}: {lines[0] if lines else 'no message'}"


@lru_cache
def _ending_with_us(setpriv: str | None) -> tuple[str, ...]:
    """What starts a program that the kernel kills when we are killed (SIGKILL leaves us no time to do it). Nothing, where
    util-linux is too old or missing: then such an emulator stays, asleep."""
    if setpriv is None:
        return ()
    said = subprocess.run([setpriv, "--help"], capture_output=True, text=True, check=False).stdout
    return (setpriv, "--pdeathsig", "KILL") if "--pdeathsig" in said else ()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
