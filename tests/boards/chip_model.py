# SPDX-License-Identifier: Apache-2.0
"""A chip around Unicorn's core: memory, the registers that start-up code waits for, and a UART to talk through.

Every write to a peripheral is logged, so that the start-up sequence can be held against the reference manual. What no
model answers reads as last written, zero at first.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from elftools.elf.elffile import ELFFile
from unicorn import UC_ARCH_ARM, UC_HOOK_MEM_READ, UC_HOOK_MEM_WRITE, UC_MODE_MCLASS, UC_MODE_THUMB, Uc
from unicorn.arm_const import UC_ARM_REG_SP

from mcunas.device.build import Image
from mcunas.device.elf import read_elf

PAGE = 0x1000
STEP = 20_000                                       # instructions between looks at the output


@dataclass(frozen=True)
class Answer:
    """Writing a value with `when` set to `register` makes `answer` read with `sets` set, and `clears` cleared."""

    register: int
    when: int
    answer: int
    sets: int
    clears: int = 0


@dataclass(frozen=True)
class Uart:
    """Offsets. status is read before `rx` and `tx` are accessed; full: a byte has come; empty: one may be sent."""

    status: int
    full: int
    empty: int
    rx: int
    tx: int
    tx_status: int | None = None                    # where sending has a status of its own
    low: int = 0                                    # bits that read 0 when ready


UARTS = {
    "stm32_v1": Uart(0x00, 1 << 5, 1 << 7, 0x04, 0x04),
    "stm32_v2": Uart(0x1C, 1 << 5, 1 << 7, 0x24, 0x28),
    "pl011": Uart(0x18, 1 << 4, 1 << 5, 0x00, 0x00, low=1 << 4 | 1 << 5),
    "nrf51": Uart(0x108, 1, 1, 0x518, 0x51C, tx_status=0x11C),
}


class Chip:
    """answers: empty for a chip whose oscillators never start. reset: register -> value after reset, where not 0."""

    def __init__(self, image: Image, answers: tuple[Answer, ...], reset: dict[int, int] | None = None) -> None:
        self.board, self.answers = image.board, answers
        self.symbols = read_elf(image.elf).symbols
        self.writes: list[tuple[int, int]] = []
        self.sent, self.waiting = bytearray(), bytearray()
        self.registers = dict(reset or {})
        self.core = core = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        for memory in self.board.memories:
            core.mem_map(memory.origin & -PAGE, -(-memory.size // PAGE) * PAGE)
        with image.elf.open("rb") as file:
            for segment in ELFFile(file).iter_segments():
                if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]:
                    core.mem_write(segment["p_paddr"], segment.data())
        for start, size in ((0x10000000, PAGE), (0xFF0000, PAGE), (0x18000000, PAGE), (0x40000000, 0x20000000),
                            (0xE0000000, 0x100000)):
            if not any(m.origin < start + size and start < m.end for m in self.board.memories):
                core.mem_map(start, size)
        for kind, hook in ((UC_HOOK_MEM_READ, self._read), (UC_HOOK_MEM_WRITE, self._write)):
            core.hook_add(kind, hook, begin=0x40000000, end=0xEFFFFFFF)
        core.reg_write(UC_ARM_REG_SP, self.symbols["_stack_top"])
        self._pc = self.symbols["reset_handler"] | 1

    def run(self, until: Callable[[], bool], steps: int = 2000) -> None:
        """Run until it holds, looked at every so many instructions."""
        from unicorn.arm_const import UC_ARM_REG_PC

        for _ in range(steps):
            self.core.emu_start(self._pc, 0, count=STEP)
            self._pc = self.core.reg_read(UC_ARM_REG_PC) | 1
            if until():
                return
        raise AssertionError(f"never got there; sent: {bytes(self.sent)!r}")

    def ask(self, command: str) -> list[str]:
        """A command's answer over the UART."""
        start = len(self.sent)
        self.waiting += command.encode() + b"%"
        self.run(lambda: self.sent[start:].endswith(b"m-ready\r\n"))
        return self.sent[start:].decode().split("\r\n")[:-2]

    def boot(self) -> list[str]:
        self.run(lambda: self.sent.endswith(b"m-ready\r\n"))
        return self.sent.decode().split("\r\n")[:-2]

    def _put(self, address: int, value: int) -> None:
        self.core.mem_write(address, (value & 0xFFFFFFFF).to_bytes(4, "little"))

    def _read(self, core: Uc, kind: int, address: int, size: int, value: int, data: object) -> None:
        console, offset = self.board.console, address - self.board.console.base
        if console.driver == "nrf53" and 0 <= offset < PAGE:
            self._put(address, self._dma(offset))
        elif 0 <= offset < PAGE and (uart := UARTS[console.driver]):
            if offset == uart.status:
                ready = (uart.full if self.waiting else 0) | (uart.empty if uart.tx_status is None else 0)
                self._put(address, ready ^ uart.low)
            elif offset == uart.tx_status:
                self._put(address, uart.empty)
            elif offset == uart.rx:
                self._put(address, self.waiting.pop(0) if self.waiting else 0)
        elif address == self.board.timer.base and console.driver == "none":
            self._put(address, 0)
        else:
            self._put(address, self.registers.get(address, 0))

    def _dma(self, offset: int) -> int:
        """The nRF53's UARTE: events, with the byte put where the pointer says."""
        if offset == 0x110 and self.waiting:
            self.core.mem_write(self._latched, bytes([self.waiting.pop(0)]))
            self._latched = self._pointer
            return 1
        return int(offset in (0x120, 0x14C))

    def _write(self, core: Uc, kind: int, address: int, size: int, value: int, data: object) -> None:
        value &= 0xFFFFFFFF
        console, offset = self.board.console, address - self.board.console.base
        self.writes.append((address, value))
        if console.driver == "nrf53" and 0 <= offset < PAGE:
            if offset == 0x534:
                self._latched, self._pointer = getattr(self, "_pointer", value), value
            if offset == 0x544:
                self.sent += core.mem_read(value, 1)
            return
        if 0 <= offset < PAGE and (uart := UARTS[console.driver]) and offset == uart.tx:
            self.sent.append(value & 0xFF)
            return
        if self.board.family in ("rp2040", "rp2350") and 0x40000000 <= address < 0x50000000 and address & 0x3000 == 0x3000:
            address &= ~0x3000                      # the alias that clears bits
            value = self.registers.get(address, 0) & ~value
        self.registers[address] = value
        for a in self.answers:
            if a.register == address and value & a.when == a.when:
                self.registers[a.answer] = self.registers.get(a.answer, 0) & ~a.clears | a.sets
