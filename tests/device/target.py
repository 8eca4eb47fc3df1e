# SPDX-License-Identifier: Apache-2.0
"""Builds a stub model for a board, boots it, and gives the link."""
from __future__ import annotations

import os
import re
import select
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
def _held(port: str) -> Iterator[None]:
    """From when the firmware answers on: on a busy machine QEMU may take longer to start, and to notice that someone has
    opened its terminal, than any host waits for a board."""
    terminal = os.open(port, os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(terminal, b"%")
        heard = b""
        while b"Unknown command" not in heard or not heard.endswith(b"m-ready\r\n"):
            assert select.select([terminal], [], [], 60)[0], f"the firmware does not answer: {heard!r}"
            heard += os.read(terminal, 4096)
        yield
    finally:
        os.close(terminal)


@contextmanager
def on_a_port(image: Image) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A firmware that has booted in QEMU, behind a pseudo-terminal: to the host a serial port like any other. And the
    process."""
    emulate = image.board.emulate
    command = ["qemu-system-arm", "-machine", emulate.qemu, "-icount", f"shift={emulate.icount_shift}", "-display", "none",
               "-monitor", "none", "-serial", "pty", "-kernel", str(image.elf)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        port = re.search(r"/dev/\S+", process.stdout.readline())[0]
        with _held(port):
            yield port, process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
