# SPDX-License-Identifier: Apache-2.0
"""Builds a stub model for a board, boots it, and gives the link."""
from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mcunas.board import Board
from mcunas.device.build import Image, build
from mcunas.device.link import Link
from mcunas.device.random_input import random_bytes
from mcunas.device.run import connect
from tests.device.stubs import INPUT_BYTES, Stub

ARM = Board.cores()


@contextmanager
def booted(model: Stub, key: str = "mps2-an386") -> Iterator[Link]:
    with tempfile.TemporaryDirectory() as folder, connect(built(model, key, folder)) as link:
        yield link


def built(model: Stub, key: str, folder: str | Path) -> Image:
    return build(model, Board.load(key), folder)  # type: ignore[arg-type]


def seeded(link: Link, seed: int = 7, count: int = INPUT_BYTES) -> bytes:
    """Let the target draw an input; returns its bytes."""
    data = random_bytes(seed, count).tobytes()
    link.seed(seed, data)
    return data


@contextmanager
def on_a_port(image: Image) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The firmware in QEMU behind a pseudo-terminal: to the host a serial port like any other. And the process."""
    emulate = image.board.emulate
    command = ["qemu-system-arm", "-machine", emulate.qemu, "-icount", f"shift={emulate.icount_shift}", "-display", "none",
               "-monitor", "none", "-serial", "pty", "-kernel", str(image.elf)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield re.search(r"/dev/\S+", process.stdout.readline())[0], process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
