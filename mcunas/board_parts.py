# SPDX-License-Identifier: Apache-2.0
"""What a board file holds: the tables of boards/*.toml, and of the cycle models in boards/cost/*.toml.

The fields are the schema. Integers are bytes and hertz.
"""
from __future__ import annotations

import re
from dataclasses import dataclass

from mcunas.timing import Calibration, Timing

# What generated code and kernels may use of the stack. [reserve].stack is this much more than the firmware's own use.
MODEL_STACK_BYTES = 1024
GUARD_BYTES = 64    # painted bytes behind the arena; part of [reserve].ram where the arena lies beside the data
USES = ("data", "stack", "arena")
ISAS = ("scalar", "m0", "m3", "dsp", "mve")
FLASHERS = ("pyocd", "openocd", "probe-rs", "st-flash", "uf2", "daplink")
CLOCK_SOURCES = ("hsi", "crystal", "bypass")


@dataclass(frozen=True)
class Core:
    cpu: str                        # as arm-none-eabi-gcc's -mcpu names it
    isa: str                        # scalar | m0 | m3 | dsp | mve: picks kernels
    clock_hz: int
    fpu: str = ""                   # as -mfpu names it; empty = soft float
    trap_unaligned: bool = False    # make unaligned accesses fault on a core that would allow them


@dataclass(frozen=True)
class Memory:
    name: str
    kind: str                       # flash | ram
    origin: int
    size: int                       # bytes
    use: tuple[str, ...] = ()       # of a RAM region: data, stack, arena; several may hold the arena, the fastest first

    @property
    def end(self) -> int:
        return self.origin + self.size


@dataclass(frozen=True)
class Reserve:
    """What the firmware takes before the model does, in bytes; tests/boards measures it."""

    flash: int
    ram: int                        # .data and .bss and the guard behind the arena
    stack: int                      # the firmware's own and MODEL_STACK_BYTES


@dataclass(frozen=True)
class Console:
    driver: str                     # firmware/platform/uart_<driver>.c
    base: int
    baud: int
    irq: int = 0                    # of received bytes; an emulated core sleeps until it is pending
    tx: str = ""                    # pins, where the chip routes them: PA2, P0.24, GP0
    rx: str = ""
    af: int = 0                     # alternate function of both pins (STM32)
    usb: tuple[str, ...] = ()       # VID:PID of the USB serial port that carries it

    @staticmethod
    def pin_number(name: str) -> int:
        """port * 16 + bit of an STM32's PA2, port * 32 + bit of a P0.24, the number of a GP0. Raises ValueError."""
        if match := re.fullmatch(r"P([A-Z])(\d{1,2})", name):
            return (ord(match[1]) - ord("A")) * 16 + int(match[2])
        if match := re.fullmatch(r"(?:GP|P(\d)\.)(\d{1,2})", name):
            return int(match[1] or 0) * 32 + int(match[2])
        if not name:
            return 0
        raise ValueError(f"{name!r} is no pin; write PA2, P0.24 or GP0")


@dataclass(frozen=True)
class Clock:
    """How firmware/platform/<family>/chip.c reaches [core].clock_hz: hz / m * n / p. It stays on the reset clock, and
    says so, where an oscillator does not start."""

    source: str                     # hsi: the chip's own oscillator; crystal; bypass: an external clock
    hz: int                         # of the source
    m: int = 1
    n: int = 1
    p: int = 1
    wait_states: int = 0            # of the flash at the full clock
    voltage: int = 0                # of the core, as the power controller counts its ranges (STM32)
    overdrive: bool = False
    apb1: int = 1                   # dividers of the buses that timers and UARTs hang on
    apb2: int = 1


@dataclass(frozen=True)
class ChipId:
    """A register of the chip that tells its kind: (word at address & mask) == value."""

    address: int
    value: int
    mask: int = 0xFFFF_FFFF


@dataclass(frozen=True)
class Flashing:
    """How firmware gets into the chip. tools: of FLASHERS, the best first; the others say what each calls the chip."""

    tools: tuple[str, ...]
    chip_id: ChipId | None = None
    pyocd: str = ""                 # target type
    pack: str = ""                  # CMSIS pack that pyOCD needs for it; empty: built in
    openocd: tuple[str, ...] = ()   # configuration files
    probe_rs: str = ""
    volume: str = ""                # label of the USB mass storage that takes a file
    uf2_family: int = 0


@dataclass(frozen=True)
class Timer:
    driver: str                     # firmware/platform/timer_<driver>.c
    base: int
    hz: int


@dataclass(frozen=True)
class Emulate:
    qemu: str                       # machine name
    icount_shift: int               # one instruction is 2^shift ns of virtual time; slower than the timer's tick
    core_model: bool = False        # tables and tests that are per core take this machine for it
    timer_hz: int = -1              # of the timer where the emulator's differs; 0: it has none


@dataclass(frozen=True)
class Fetch:
    """How code and constants come from flash: what the cycle model adds; absent where memory has no wait states.

    code_lines, data_lines: what the accelerator (ART, caches) keeps, least recently used first out; 1: a line's buffer.
    """

    wait_states: int
    line_bytes: int                 # read at once
    code_lines: int = 1
    data_lines: int = 1
    prefetch: bool = False          # the next line of code is read while this one is executed


@dataclass(frozen=True)
class CycleModel:
    """What instructions cost on a core (boards/cost/*.toml): each kind (`timing`, for counted code), or plain cycles per
    instruction with an error bar and where they come from (for code of which only the number is known)."""

    core: str
    cycles_per_instruction: float
    low: float
    high: float
    source: str
    error_percent: float            # of modelled cycles, where the code has been counted
    timing: Timing
    calibration: Calibration | None = None

    @property
    def basis(self) -> str:
        """Whose timings these are, for whoever reads cycles."""
        done = self.calibration
        return f"{self.core}, calibrated on {done.date} ({done.target}, {done.counter})" if done else self.core
