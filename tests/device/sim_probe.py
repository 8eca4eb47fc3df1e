# SPDX-License-Identifier: Apache-2.0
"""A debug probe for pyOCD's own machinery, and behind it an nRF51: a debug port, a memory access port, and Unicorn as the
core that really runs pyOCD's flash algorithm on the flash controller of the chip.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyocd.core import exceptions
from pyocd.probe.debug_probe import DebugProbe
from unicorn import UC_ARCH_ARM, UC_HOOK_MEM_READ, UC_HOOK_MEM_WRITE, UC_MODE_MCLASS, UC_MODE_THUMB, Uc, UcError
from unicorn import arm_const as arm

FLASH_BYTES, RAM = 0x40000, 0x20000000
_NVMC_READY, _NVMC_ERASEPAGE, _NVMC_ERASEALL = 0x4001E400, 0x4001E508, 0x4001E50C
_DHCSR, _DCRSR, _DCRDR, _AIRCR, _CPUID = 0xE000EDF0, 0xE000EDF4, 0xE000EDF8, 0xE000ED0C, 0xE000ED00
_REGISTERS = [*(getattr(arm, f"UC_ARM_REG_R{i}") for i in range(13)), arm.UC_ARM_REG_SP, arm.UC_ARM_REG_LR,
              arm.UC_ARM_REG_PC, arm.UC_ARM_REG_XPSR]
# The ROM table's entries and the identification of its parts, as CoreSight has them.
_ROM = {0xE00FF000: 0xFFF0F003, 0xE00FF004: 0, 0xE00FFFCC: 1, 0xE00FFFE0: 0x71, 0xE00FFFE4: 0xB4, 0xE00FFFE8: 0x0B,
        0xE00FFFF0: 0x0D, 0xE00FFFF4: 0x10, 0xE00FFFF8: 0x05, 0xE00FFFFC: 0xB1, 0xE000EFE0: 0x08, 0xE000EFE4: 0xB0,
        0xE000EFE8: 0x0B, 0xE000EFD0: 4, 0xE000EFF0: 0x0D, 0xE000EFF4: 0xE0, 0xE000EFF8: 0x05, 0xE000EFFC: 0xB1}


class Nrf51:
    """code_size: what FICR says of the flash, in pages. stuck: a flash byte that cannot be programmed. fails_after: words
    programmed until the probe is unplugged."""

    def __init__(self, code_size: int = 0x100, stuck: int | None = None, fails_after: int | None = None) -> None:
        self.core = core = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        for start, size in ((0, FLASH_BYTES), (0x10000000, 0x2000), (RAM, 0x4000), (0x40000000, 0x20000),
                            (0xE0000000, 0x100000)):
            core.mem_map(start, size)
        core.mem_write(0, b"\xFF" * FLASH_BYTES)
        for address, value in {**_ROM, 0x10000010: 0x400, 0x10000014: code_size, _CPUID: 0x410CC200, _NVMC_READY: 1}.items():
            self.put(address, value)
        self.halted, self.stuck, self.fails_after, self.programmed = True, stuck, fails_after, 0
        core.hook_add(UC_HOOK_MEM_WRITE, self._wrote, begin=0, end=FLASH_BYTES - 1)
        core.hook_add(UC_HOOK_MEM_WRITE, self._controlled, begin=0x4001E500, end=0x4001E5FF)
        core.hook_add(UC_HOOK_MEM_READ, lambda *a: self.put(_NVMC_READY, 1), begin=_NVMC_READY, end=_NVMC_READY)

    def put(self, address: int, value: int) -> None:
        self.core.mem_write(address, value.to_bytes(4, "little"))

    def get(self, address: int) -> int:
        return int.from_bytes(self.core.mem_read(address, 4), "little")

    def flash(self, at: int, size: int) -> bytes:
        return bytes(self.core.mem_read(at, size))

    def _wrote(self, core: Uc, kind: int, address: int, size: int, value: int, data: Any) -> None:
        self.programmed += 1
        self._pending = (address, self.get(address) & value & 0xFFFFFFFF)     # bits go from 1 to 0 only

    def _controlled(self, core: Uc, kind: int, address: int, size: int, value: int, data: Any) -> None:
        if address == _NVMC_ERASEPAGE:
            core.mem_write(value & -0x400, b"\xFF" * 0x400)
        if address == _NVMC_ERASEALL and value:
            core.mem_write(0, b"\xFF" * FLASH_BYTES)

    def resume(self) -> None:
        """Run to the breakpoint that the algorithm returns to."""
        pc, stop = self.core.reg_read(arm.UC_ARM_REG_PC), self.core.reg_read(arm.UC_ARM_REG_LR) & ~1
        self.halted = False
        try:
            self.core.emu_start(pc | 1, stop, count=2_000_000)
        except UcError:
            pass
        if self.stuck is not None:
            self.core.mem_write(self.stuck, b"\xFF")
        self.halted = True

    def read(self, address: int) -> int:
        if address == _DHCSR:
            return 1 << 16 | int(self.halted) << 17 | 1
        return self.get(address)

    def write(self, address: int, value: int) -> None:
        if address == _DHCSR and value >> 16 == 0xA05F:
            if value & 2:
                self.halted = True
            elif self.halted and value & 1:
                self.resume()
        elif address == _DCRSR:
            register = _REGISTERS[value & 0x7F] if value & 0x7F < len(_REGISTERS) else None
            if value >> 16 & 1:
                if register is not None:
                    self.core.reg_write(register, self.get(_DCRDR))
            else:
                self.put(_DCRDR, self.core.reg_read(register) & 0xFFFFFFFF if register is not None else 0)
        elif address != _AIRCR:
            self.put(address, value)


class SimProbe(DebugProbe):
    """See the module. chip: what it is wired to."""

    def __init__(self, chip: Nrf51, serial: str = "9900SIM") -> None:
        super().__init__()
        self.chip, self._serial, self._open, self._tar, self._csw = chip, serial, False, 0, 0
        self._reset = False

    description = property(lambda self: "simulated probe")
    vendor_name = product_name = description
    supported_wire_protocols = property(lambda self: [DebugProbe.Protocol.DEFAULT, DebugProbe.Protocol.SWD])
    wire_protocol = property(lambda self: DebugProbe.Protocol.SWD)
    unique_id = property(lambda self: self._serial)
    is_open = property(lambda self: self._open)
    capabilities = property(lambda self: set())

    def open(self) -> None:
        self._open = True

    def close(self) -> None:
        self._open = False

    def connect(self, protocol: Any = None) -> None: ...

    def disconnect(self) -> None: ...

    def swj_sequence(self, length: int, bits: int) -> None: ...

    def set_clock(self, frequency: float) -> None: ...

    def reset(self) -> None: ...

    def assert_reset(self, asserted: bool) -> None:
        self._reset = asserted

    def is_reset_asserted(self) -> bool:
        return self._reset

    def flush(self) -> None: ...

    def read_dp(self, addr: int, now: bool = True) -> int | Callable[[], int]:
        return self._result({0: 0x0BB11477, 4: 0xF0000000}.get(addr, 0), now)

    def write_dp(self, addr: int, data: int) -> None: ...

    def read_ap(self, addr: int, now: bool = True) -> int | Callable[[], int]:
        register = addr & 0xFC
        if addr >> 24:
            return self._result(0, now)             # there is one access port
        if register == 0x0C:
            return self._result(self._transfer(), now)
        return self._result({0x00: self._csw, 0x04: self._tar, 0xF8: 0xE00FF003, 0xFC: 0x04770021}.get(register, 0), now)

    def write_ap(self, addr: int, data: int) -> None:
        register = addr & 0xFC
        if register == 0x00:
            self._csw = data & 7 | data & 0x30 | 1 << 6
        elif register == 0x04:
            self._tar = data
        elif register == 0x0C:
            self._transfer(data)

    def read_ap_multiple(self, addr: int, count: int = 1, now: bool = True) -> Any:
        return self._result([self.read_ap(addr) for _ in range(count)], now)

    def write_ap_multiple(self, addr: int, values: Any) -> None:
        for value in values:
            self.write_ap(addr, value)

    def _transfer(self, data: int | None = None) -> int:
        """One word, or the byte or half word in its lane, as CSW says."""
        if self.chip.fails_after is not None and self.chip.programmed > self.chip.fails_after:
            raise exceptions.ProbeDisconnected("simulated")
        size, at, word = 1 << (self._csw & 7), self._tar, self._tar & ~3
        if self._csw & 0x30:
            self._tar += size
        if data is None:
            return self.chip.read(word)
        if size == 4:
            self.chip.write(word, data)
        else:
            lane = (at & 3) * 8
            self.chip.core.mem_write(at, (data >> lane & (1 << size * 8) - 1).to_bytes(size, "little"))
        return 0

    @staticmethod
    def _result(value: Any, now: bool) -> Any:
        return value if now else lambda: value
