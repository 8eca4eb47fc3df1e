# SPDX-License-Identifier: Apache-2.0
"""What a board file holds: the tables of boards/*.toml, and of the cycle models in boards/cost/*.toml.

The fields are the schema. Integers are bytes and hertz.
"""
from __future__ import annotations

from dataclasses import dataclass

from mcunas.timing import Calibration, Timing

# What generated code and kernels may use of the stack. [reserve].stack is this much more than the firmware's own use.
MODEL_STACK_BYTES = 1024
GUARD_BYTES = 64    # painted bytes behind the arena; part of [reserve].ram where the arena lies beside the data
USES = ("data", "stack", "arena")
ISAS = ("scalar", "m0", "m3", "dsp", "mve")


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
    irq: int                        # of received bytes; the core sleeps until it is pending
    baud: int
    tx: int = 0                     # pin numbers, where the driver routes pins
    rx: int = 0


@dataclass(frozen=True)
class Timer:
    driver: str                     # firmware/platform/timer_<driver>.c
    base: int
    hz: int


@dataclass(frozen=True)
class Emulate:
    qemu: str                       # machine name
    icount_shift: int               # one instruction is 2^shift ns of virtual time; slower than the timer's tick


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
