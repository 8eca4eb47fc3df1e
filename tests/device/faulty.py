# SPDX-License-Identifier: Apache-2.0
"""A serial line that does something to bytes, between the host and a firmware in QEMU."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mcunas.device.qemu import Qemu
from mcunas.errors import CheckFailed

Harm = Callable[[bytes], bytes]


def lose(at: int) -> Harm:
    return lambda data: data[:at] + data[at + 1:]


def change(at: int) -> Harm:
    return lambda data: data[:at] + bytes([data[at] ^ 0x04]) + data[at + 1:] if at < len(data) else data


def repeat(at: int) -> Harm:
    return lambda data: data[:at + 1] + data[at:]


@dataclass
class FaultyLine:
    """harm_in: what happens to the n-th write to the board; harm_out: to the n-th byte that comes from it. gone_after:
    writes until the cable is unplugged. resets: writes after which the board is reset. cut: the byte from the board at which
    it is reset, in the middle of an answer."""

    stream: Qemu
    restart: Callable[[], Qemu]
    harm_in: dict[int, Harm] = field(default_factory=dict)
    harm_out: dict[int, Harm] = field(default_factory=dict)
    gone_after: int | None = None
    resets: tuple[int, ...] = ()
    cut: int | None = None
    writes: int = 0
    heard: int = 0

    def read(self, timeout_s: float) -> bytes:
        data, out = self.stream.read(timeout_s), b""
        for byte in data:
            out += self.harm_out.get(self.heard, lambda d: d)(bytes([byte]))
            self.heard += 1
            if self.heard == self.cut:
                self.stream.close()
                self.stream = self.restart()
                return out
        return out if out or not data else self.read(timeout_s)

    def write(self, data: bytes, timeout_s: float) -> None:
        self.writes += 1
        if self.gone_after is not None and self.writes > self.gone_after:
            raise CheckFailed("the serial port failed: [Errno 5] Input/output error", where="/dev/ttyACM0")
        if self.writes in self.resets:
            self.stream.close()
            self.stream = self.restart()
            return
        self.stream.write(self.harm_in.get(self.writes, lambda d: d)(data), timeout_s)

    def close(self) -> None:
        self.stream.close()
