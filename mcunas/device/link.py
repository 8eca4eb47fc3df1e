# SPDX-License-Identifier: Apache-2.0
"""The host's end of the command protocol (firmware/app/command.c), over any byte stream: QEMU's pipe or a serial port.

A command ends with '%'; its answer is lines up to `m-ready`. A line `e-[...]` is the firmware's error, lines
`e-fault-...` are the fault handler's last words: both become exceptions here. Commands are framed, with a number and a
CRC-32 each way, so that nothing that a line loses, changes or repeats can pass for an answer: it becomes a LinkError.
"""
from __future__ import annotations

import re
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from mcunas.device.elf import locate, read_elf
from mcunas.device.random_input import SEEDS
from mcunas.errors import CheckFailed

_COMMAND_S = 20.0       # for an answer to begin, or to go on
_INFER_S = 120.0        # for one inference: an emulated Cortex-M0+ on a busy machine takes its time
_BYTES_PER_S = 2000.0   # that a link carries at the very least
_FLUSH_BYTES = 64
_RESYNC_S = 10.0        # for a board to come back to the start of a command, or to boot
_QUIET_S = 0.3          # nothing for so long: what was on its way has come
_CHATTER_S = 60.0       # of an answer that was cut off; who talks for longer does so by himself
_LINE_BYTES = 8 << 20   # of a line at most: outputs of 4 MiB in hex
_ANSWER_LINES = 100_000

_CFSR_BITS = {
    0: "instruction access violation", 1: "data access violation", 3: "unstacking failed (MPU)",
    4: "stacking failed (MPU)", 8: "instruction bus error", 9: "precise data bus error",
    10: "imprecise data bus error", 11: "unstacking failed", 12: "stacking failed", 16: "undefined instruction",
    17: "invalid state", 18: "invalid PC load", 19: "no coprocessor", 20: "stack limit", 24: "unaligned access",
    25: "division by zero",
}
_STACK_BITS = 1 << 4 | 1 << 12 | 1 << 20


class ByteStream(Protocol):
    def read(self, timeout_s: float) -> bytes: ...

    def write(self, data: bytes, timeout_s: float) -> None: ...

    def close(self) -> None: ...


class DeviceError(CheckFailed):
    """The firmware answered a command with an error."""


class LinkError(CheckFailed):
    """The line lost, changed or repeated something, or the board started again: the same may be asked once more."""


class TargetFault(CheckFailed):
    """The core took a fault. registers: pc, lr, sp, and cfsr, hfsr, mmfar, bfar where the core has them.

    A stack overflow may have left no room for the core to save pc and lr; then they are missing.
    """

    def __init__(self, kind: str, registers: dict[str, int], elf: Path | None) -> None:
        self.is_stack_overflow = bool(registers.get("cfsr", 0) & _STACK_BITS)
        where = {}
        if elf is not None:
            symbols = read_elf(elf).symbols
            self.is_stack_overflow |= not symbols["_stack_bottom"] <= registers.get("sp", 0) <= symbols["_stack_top"]
            where = {name: locate(elf, registers[name]) for name in ("pc", "lr") if registers.get(name)}
        self.location = where.get("pc", "")
        if self.is_stack_overflow and not self.location:
            registers = {name: value for name, value in registers.items() if name not in ("pc", "lr")}
        self.kind, self.registers = kind, registers
        reasons = [text for bit, text in _CFSR_BITS.items() if registers.get("cfsr", 0) >> bit & 1]
        if self.is_stack_overflow:
            reasons.insert(0, "stack overflow")
        shown = ", ".join(f"{name.upper()} {value:#010x}{f' {where[name]}' if where.get(name) else ''}"
                          for name, value in registers.items())
        super().__init__(f"the core stopped with a {kind}{': ' if reasons else ''}{', '.join(reasons)} ({shown})")


@dataclass(frozen=True)
class MemoryUse:
    """Measured on the target, in bytes. arena_used: the highest byte of the arena that an inference touches.

    further_used: the same of the arena's parts in other memories.
    """

    arena: int
    arena_used: int
    stack: int
    stack_used: int
    input: int
    input_kept: bool
    further_used: tuple[int, ...] = ()


class Link:
    """Commands to a firmware that has booted. elf: names functions and lines in faults."""

    def __init__(self, stream: ByteStream, elf: Path | None = None, patience_s: float = _COMMAND_S) -> None:
        """patience_s: for an answer to begin."""
        self._stream, self._elf, self._buffer, self._number, self.patience_s = stream, elf, b"", 0, patience_s

    def wait_for_boot(self) -> None:
        """Up to the first m-ready."""
        self._lines("boot", _COMMAND_S, _COMMAND_S, booting=True)

    def command(self, text: str, payload: bytes = b"", timeout_s: float | None = None,
                first_s: float | None = None) -> list[str]:
        """The lines of the answer, without m-ready. timeout_s: silence that ends the wait; first_s: for its first line.

        Raises DeviceError, TargetFault, LinkError (no answer or a damaged one), CheckFailed (the stream has ended).
        """
        timeout_s = self.patience_s if timeout_s is None else timeout_s
        words = text.encode("ascii")
        self._number += 1
        is_data = text.startswith("db ") and not text.startswith(("db load", "db print"))     # may be any length
        frame = b"" if is_data else b"@%d %08x " % (self._number, zlib.crc32(words))
        data = frame + words + b"%" + payload
        self._stream.write(data, timeout_s + len(data) / _BYTES_PER_S)
        more_s = len(payload) / _BYTES_PER_S
        while True:
            lines = self._lines(text, (timeout_s if first_s is None else first_s) + more_s, timeout_s + more_s)
            if is_data or self._unframed(text, lines):
                break
        error = next((line for line in lines if line.startswith("e-[")), None)
        if error is not None:
            raise DeviceError(f"the firmware answers {text.split(' ')[0]!r} with: {error[3:].removesuffix(']')}")
        return lines

    def _unframed(self, command: str, lines: list[str]) -> bool:
        """Takes the frame's line off. False: this answers an earlier command. Raises LinkError."""
        end = re.fullmatch(r"m-end-\[(\d{1,10}),([0-9a-f]{8})\]", lines[-1]) if lines else None
        if end is None and lines == ["e-[Command too long]"]:
            return True
        if end is None or "e-[Damaged command]" in lines:
            raise LinkError(f"{command.split(' ')[0]!r} or its answer was damaged on the serial line")
        if int(end[1]) < self._number:
            return False
        lines.pop()
        sent = "".join(f"{line}\r\n" for line in lines).encode()
        if int(end[1]) != self._number or zlib.crc32(sent) != int(end[2], 16):
            raise LinkError(f"the answer to {command.split(' ')[0]!r} was damaged on the serial line")
        return True

    def resync(self, input_bytes: int = 0) -> None:
        """Bring a firmware that waits for the rest of something to the start of a command, and drop what it says.

        input_bytes: of a load that may have been cut off. Raises CheckFailed when it says nothing.
        """
        self._buffer = b""
        deadline, flushed, heard = time.monotonic() + _RESYNC_S + input_bytes / _BYTES_PER_S, 0, b""
        while time.monotonic() < deadline:
            count = _FLUSH_BYTES if flushed <= input_bytes else 1       # then it is starting, or gone
            self._stream.write(b"%" * count, self.patience_s)
            flushed, heard = flushed + count, b""
            while time.monotonic() < deadline + _CHATTER_S and (more := self._stream.read(_QUIET_S)):
                heard = (heard + more)[-65536:]
                if b"e-fault-[" in heard and b"e-fault-stop" in heard:
                    self._buffer = heard[heard.index(b"e-fault-["):]
                    self._fault(self._line("fault", 1.0))
            if b"m-ready" in heard:
                return
        if heard:
            raise CheckFailed("what is on the line is no firmware of mcunas, or has another baud rate",
                              fix="name the board's own port, and flash it (mcunas flash)")
        raise CheckFailed("the board does not answer any more",
                          fix="see that it was flashed (mcunas flash), reset it, check the cable, and start again")

    def load(self, data: bytes) -> None:
        """The input tensors' bytes, one after another."""
        self._check_input(self.command("raw", data), data)

    def seed(self, seed: int, expected: bytes) -> None:
        """Let the firmware draw the input itself (random_input.py) and check that it drew `expected`."""
        self._check_input(self.command(f"seed {seed % SEEDS}"), expected)

    def infer(self, inferences: int = 1, warmups: int = 0) -> int:
        """Run the model; the target's time for `inferences` in microseconds (emulated time means nothing)."""
        lines = self.command(f"infer {inferences} {warmups}", timeout_s=_INFER_S * (inferences + warmups),
                             first_s=self.patience_s)
        laps = [_number(line.removeprefix("m-lap-us-")) for line in lines if line.startswith("m-lap-us-")]
        if len(laps) != 2:
            raise CheckFailed(f"an answer to infer without two laps: {_shown(lines)}")
        return laps[1] - laps[0]

    def output(self) -> bytes:
        """The output tensors' bytes, one after another."""
        lines = self.command("out")
        text = _bracket(lines, "m-out-")
        if not re.fullmatch(r"(?:[0-9a-f]{2})*", text) or zlib.crc32(bytes.fromhex(text)) != _crc32(lines, "m-out-crc32-"):
            raise CheckFailed("an output was damaged on the serial line")
        return bytes.fromhex(text)

    def memory(self) -> MemoryUse:
        """Two inferences over painted memory."""
        found = _fields(self.command("mem", timeout_s=3 * _INFER_S), "m-mem-", "arena", "arena_used", "stack", "stack_used",
                        "input", "input_kept")
        further = tuple(value for name, value in found.items() if name.startswith("further"))
        return MemoryUse(found["arena"], found["arena_used"], found["stack"], found["stack_used"], found["input"],
                         bool(found["input_kept"]), further)

    def boxes(self) -> np.ndarray:
        """What a firmware with a decoder finds in the last output: int32 (N, 6), as mcunas.tasks.detection.decode."""
        items = [item for item in _bracket(self.command("boxes"), "m-boxes-").split(";") if item]
        found = [[_number(v) for v in item.split(",")] for item in items]
        if any(len(item) != 6 for item in found):
            raise CheckFailed(f"an answer with boxes of other than 6 numbers: {_shown(items)}")
        if any(not -1 << 31 <= v < 1 << 31 for item in found for v in item):
            raise CheckFailed(f"an answer with boxes beyond 32 bits: {_shown(items)}")
        return np.array(found, np.int32).reshape(len(found), 6)

    def ticks(self) -> tuple[int, int]:
        """Timer ticks of one inference, and of a call of nothing."""
        fields = _fields(self.command("bench", timeout_s=_INFER_S), "m-bench-", "ticks", "empty")
        return fields["ticks"], fields["empty"]

    def board(self) -> dict[str, int]:
        """id: the word at the board file's chip_id (0: none); core_hz; missing: a bit per RAM region that is not whole;
        image: CRC-32 of what lies in flash."""
        return _fields(self.command("board"), "m-board-", "id", "core_hz", "missing", "image")

    def _check_input(self, lines: list[str], expected: bytes) -> None:
        if _crc32(lines, "m-input-crc32-") != zlib.crc32(expected):
            raise LinkError("the firmware holds another input than the host sent")

    def _lines(self, command: str, first_s: float, timeout_s: float, booting: bool = False) -> list[str]:
        """Up to m-ready. Raises TargetFault, LinkError (silence, or the board started again)."""
        lines: list[str] = []
        while (line := self._line(command, timeout_s if lines else first_s)) != "m-ready":
            if line.startswith("e-fault-["):
                self._fault(line)
            if line.startswith("m-timestamp-mode-") and not booting:
                raise LinkError(f"the board started again while it was asked for {command.split(' ')[0]!r}")
            lines.append(line)
            if len(lines) > _ANSWER_LINES:
                raise LinkError(f"the answer to {command.split(' ')[0]!r} does not end")
        return lines

    def _line(self, command: str, timeout_s: float) -> str:
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._buffer:
            data = self._stream.read(max(0.0, deadline - time.monotonic()))
            if not data:
                raise LinkError(f"the firmware did not answer {command.split(' ')[0]!r} within {timeout_s:g} s")
            self._buffer += data
            if len(self._buffer) > _LINE_BYTES and b"\n" not in self._buffer:
                raise LinkError(f"a line of the answer to {command.split(' ')[0]!r} does not end")
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode("ascii", errors="replace").strip("\r\0")

    def _fault(self, line: str) -> None:
        registers: dict[str, int] = {}
        kind = line.removeprefix("e-fault-[").removesuffix("]")
        for _ in range(_ANSWER_LINES):
            if (line := self._line("fault", _COMMAND_S)) == "e-fault-stop":
                break
            match = re.fullmatch(r"e-fault-(\w+)-\[0x([0-9a-f]{8})\]", line)
            if match:
                registers[match.group(1)] = int(match.group(2), 16)
        raise TargetFault(kind, registers, self._elf)


def _bracket(lines: list[str], start: str) -> str:
    for line in lines:
        if line.startswith(start + "[") and line.endswith("]"):
            return line[len(start) + 1:-1]
    raise CheckFailed(f"an answer without a line {start}[...]: {_shown(lines)}")


def _fields(lines: list[str], start: str, *names: str) -> dict[str, int]:
    """names: that must be among them."""
    parts = [part.partition("=") for part in _bracket(lines, start).split(",")]
    found = {name: _number(value) for name, _, value in parts}
    if missing := [name for name in names if name not in found]:
        raise CheckFailed(f"an answer {start}[...] without {', '.join(missing)}")
    return found


def _number(text: str) -> int:
    """A decimal number of 32 bits, signed or not, or of microseconds."""
    if not re.fullmatch(r"-[0-9]{1,9}|[0-9]{1,18}", text):
        raise CheckFailed(f"an answer with {text[:20]!r} where a number belongs")
    return int(text)


def _crc32(lines: list[str], start: str) -> int:
    text = _bracket(lines, start)
    if not re.fullmatch(r"[0-9a-f]{8}", text):
        raise CheckFailed(f"an answer with {text[:20]!r} where a checksum belongs")
    return int(text, 16)


def _shown(lines: list[str]) -> str:
    text = str(lines)
    return text if len(text) < 200 else f"{text[:200]}..."
