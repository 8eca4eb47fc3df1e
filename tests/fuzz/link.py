# SPDX-License-Identifier: Apache-2.0
"""The host's end of the serial link: whatever a board sends, well framed or not, is an answer or a CheckFailed.

The first byte of the data chooses a question, the second whether the rest comes with a right frame, damaged or raw, and in
pieces of which size. The clock is a pretended one: it moves where the line is silent.
"""
from __future__ import annotations

import zlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from mcunas.device import link as under_test
from mcunas.device.link import Link
from mcunas.errors import McunasError

BYTES = 4000
INPUT = bytes(range(16))
ASKED: tuple[tuple[str, Callable[[Link], Any]], ...] = (
    ("boot", Link.wait_for_boot), ("name", lambda link: link.command("name")), ("raw", lambda link: link.load(INPUT)),
    ("seed", lambda link: link.seed(5, INPUT)), ("infer", lambda link: link.infer(2, 1)), ("out", Link.output),
    ("mem", Link.memory), ("boxes", Link.boxes), ("bench", Link.ticks), ("board", Link.board),
    ("resync", lambda link: link.resync(64)), ("db", lambda link: link.command("db 00")),
)
_RIGHT = (b"m-timestamp-mode-performance\r\nm-init-done\r\n", b"m-name-dut-[mcunas]\r\n",
          b"m-input-crc32-[%08x]\r\n" % zlib.crc32(INPUT), b"m-input-crc32-[%08x]\r\n" % zlib.crc32(INPUT),
          b"m-warmup-start-1\r\nm-lap-us-12\r\nm-lap-us-99\r\nm-results-[1.000]\r\n",
          b"m-out-[00ff10]\r\nm-out-crc32-[%08x]\r\n" % zlib.crc32(b"\x00\xff\x10"),
          b"m-mem-[arena=64,arena_used=60,stack=2048,stack_used=300,input=16,input_kept=1,further_0=3]\r\n",
          b"m-boxes-[0,0,16,16,1,100;1,2,3,4,0,-5;]\r\n", b"m-bench-[ticks=1000,empty=3]\r\n",
          b"m-board-[id=0,core_hz=25000000,missing=0,image=77]\r\n", b"", b"m-load-done\r\n")
FAULT = b"e-fault-[HardFault]\r\ne-fault-pc-[0x00000100]\r\ne-fault-cfsr-[0x00100000]\r\ne-fault-stop\r\n"
WORDS = (b"m-ready\r\n", b"e-[", b"]\r\n", b"m-end-[1,", b"m-lap-us-", b"m-out-[", b"=", b"e-fault-[", b"e-fault-stop\r\n",
         *(text.split(b"[")[0] for text in _RIGHT if b"[" in text))


def seeds() -> tuple[bytes, ...]:
    framed = [bytes([kind, 0]) + text for kind, text in enumerate(_RIGHT)]
    return (*framed, b"\x01\x02" + FAULT, b"\x04\x00e-[No input: send db load or seed first]\r\n", b"\x0a\x12m-ready\r\n")


class Line:
    """Says what it holds, in pieces, then nothing. Reading costs no time but where there is nothing."""

    def __init__(self, data: bytes, piece_bytes: int) -> None:
        self._data, self._piece, self.now_s = data, piece_bytes, 0.0

    def read(self, timeout_s: float) -> bytes:
        piece, self._data = self._data[:self._piece], self._data[self._piece:]
        self.now_s += 0.0 if piece else max(timeout_s, 0.01)
        return piece

    def write(self, data: bytes, timeout_s: float) -> None:
        self.now_s += 0.001

    def close(self) -> None:
        pass


def once(data: bytes) -> None:
    if len(data) < 2:
        return
    name, ask = ASKED[data[0] % len(ASKED)]
    said, form = data[2:], data[1] % 4
    if form == 0 and name not in ("boot", "db", "resync"):
        lines = b"".join(line.strip(b"\r\0") + b"\r\n" for line in said.split(b"\n")[:-1])
        said += b"m-end-[1,%08x]\r\n" % zlib.crc32(lines)
    said += b"m-ready\r\n" if form < 2 else b""
    line = Line(said, (1, 7, 64, 5000)[data[1] // 4 % 4])
    clock, under_test.time = under_test.time, SimpleNamespace(monotonic=lambda: line.now_s)  # type: ignore[assignment]
    try:
        ask(Link(line))
    except McunasError as error:
        assert "\n" not in str(error)
    finally:
        under_test.time = clock
