# SPDX-License-Identifier: Apache-2.0
"""What a board file must keep to, beyond the types of its fields: sizes that add up, words that are names, numbers that
fit into what is generated of them.
"""
from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from mcunas.board_parts import CLOCK_SOURCES, FLASHERS, ISAS, USES, Console, Flashing
from mcunas.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from mcunas.board import Board

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")           # of paths in firmware/, of options of compiler and emulator
_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")              # in the linker script
_USB = re.compile(r"[0-9a-f]{4}:[0-9a-f]{4}")               # as ports.usb_id writes it
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./ +:-]*")       # what flashing tools are told


def check(board: Board, where: str) -> None:
    """Raises InputError."""
    def demand(holds: bool, what: str, fix: str = "") -> None:
        if not holds:
            raise InputError(what, where, fix)

    _check_words(board, demand)
    _check_numbers(board, demand)
    demand(board.isa in ISAS, f"[core] isa {board.isa!r} is unknown", f"use one of {', '.join(ISAS)}")
    for memory in board.memories:
        demand(memory.kind in ("flash", "ram"), f"memory {memory.name!r} has kind {memory.kind!r}", "use flash or ram")
        demand(memory.size > 0, f"memory {memory.name!r} has no size")
        demand(0 <= memory.origin and memory.end <= 1 << 32,
               f"memory {memory.name!r} is not inside the 32-bit address space")
        for use in memory.use:
            demand(memory.kind == "ram" and use in USES, f"memory {memory.name!r} cannot be used for {use!r}",
                   f"a ram region is used for {', '.join(USES)}")
    ordered = sorted(board.memories, key=lambda memory: memory.origin)
    demand(len({memory.name for memory in board.memories}) == len(board.memories), "two memories have the same name")
    for low, high in zip(ordered, ordered[1:]):
        demand(low.end <= high.origin, f"memories {low.name!r} and {high.name!r} overlap")
    demand(sum(memory.kind == "flash" for memory in board.memories) == 1, "there must be one memory of kind flash")
    for use in USES:
        count = sum(use in memory.use for memory in board.memories)
        demand(count == 1 or count > 1 and use == "arena", f"one ram region must be used for {use!r}")
    for name, size in (("clock_hz", board.clock_hz), ("timer.hz", board.timer.hz), ("console.baud", board.console.baud),
                       ("reserve.stack", board.reserve.stack)):
        demand(size > 0, f"{name} must be positive")
    demand(board.reserve.flash >= 0 and board.reserve.ram >= 0 and board.reserve.stack % 8 == 0,
           "[reserve] must not be negative and its stack must be a multiple of 8")
    demand(min(board.arenas.values()) > 0 and board.flash_bytes > 0, "[reserve] leaves nothing for a model")
    if fetch := board.fetch:
        demand(fetch.wait_states >= 0 and fetch.line_bytes > 0, "[fetch] wait_states or line_bytes is negative")
        demand(0 < fetch.code_lines <= 512 and 0 < fetch.data_lines <= 512, "[fetch] keeps 1 to 512 lines")
    if board.emulate and (timer_hz := board.emulated_timer_hz):
        demand(10**9 / timer_hz < 2**board.emulate.icount_shift,
               "the timer is too slow to count single instructions", "raise [emulate] icount_shift")
    for pin in (board.console.tx, board.console.rx):
        try:
            Console.pin_number(pin)
        except ValueError as error:
            raise InputError(f"[console] {error}", where) from None
    for usb in board.console.usb:
        demand(bool(_USB.fullmatch(usb)), f"[console] usb {usb!r} is no VID:PID", "write it like 0483:374b")
    if clock := board.clock:
        demand(clock.source in CLOCK_SOURCES, f"[clock] source {clock.source!r} is unknown",
               did_you_mean(clock.source, CLOCK_SOURCES))
        demand(min(clock.hz, clock.m, clock.n, clock.p, clock.apb1, clock.apb2) > 0, "[clock] must be positive")
        demand(clock.hz * clock.n == board.clock_hz * clock.m * clock.p,
               f"[clock] {clock.hz} / {clock.m} * {clock.n} / {clock.p} is not [core] clock_hz {board.clock_hz}")
    if flashing := board.flashing:
        _check_flashing(flashing, demand)


def _check_words(board: Board, demand: Callable[..., None]) -> None:
    """Words that become parts of paths, command lines and the linker script, where they must not say more than a name."""
    words = {"family": board.family, "core.cpu": board.cpu, "console.driver": board.console.driver,
             "timer.driver": board.timer.driver, "cost": board.cost_table}
    words |= {"core.fpu": board.fpu} if board.fpu else {}
    words |= {"emulate.qemu": board.emulate.qemu} if board.emulate else {}
    for name, word in words.items():
        demand(bool(_WORD.fullmatch(word)), f"{name} {word!r} is no name", "use letters, digits and _.+-")
    for memory in board.memories:
        demand(bool(_SYMBOL.fullmatch(memory.name)), f"memory {memory.name!r} is no name", "use letters, digits and _")
    if flashing := board.flashing:
        for word in (flashing.pyocd, flashing.pack, flashing.probe_rs, flashing.volume, *flashing.openocd):
            demand(not word or bool(_PATH.fullmatch(word)) and ".." not in word, f"[flash] {word!r} is no name",
                   "use letters, digits and _./ +:-")


def _check_numbers(board: Board, demand: Callable[..., None]) -> None:
    """What becomes a constant of 32 bits, or an exponent."""
    numbers = {"core.clock_hz": board.clock_hz, "console.base": board.console.base, "console.baud": board.console.baud,
               "console.irq": board.console.irq, "console.af": board.console.af, "timer.base": board.timer.base,
               "timer.hz": board.timer.hz, "reserve.flash": board.reserve.flash, "reserve.ram": board.reserve.ram,
               "reserve.stack": board.reserve.stack}
    for prefix, table in (("clock", board.clock), ("flash.chip_id", board.flashing and board.flashing.chip_id)):
        if table:
            numbers |= {f"{prefix}.{name}": value for name, value in vars(table).items() if isinstance(value, int)}
    if board.emulate:
        numbers["emulate.timer_hz"] = max(board.emulate.timer_hz, 0)
        demand(0 <= board.emulate.icount_shift <= 10, "[emulate] icount_shift is not 0 to 10")
    for name, value in numbers.items():
        demand(0 <= value < 1 << 32, f"{name} does not fit into 32 bits")


def _check_flashing(flashing: Flashing, demand: Callable[..., None]) -> None:
    names = {"pyocd": flashing.pyocd, "openocd": flashing.openocd, "probe-rs": flashing.probe_rs,
             "uf2": flashing.uf2_family and flashing.volume, "daplink": flashing.volume, "st-flash": True}
    demand(bool(flashing.tools), "[flash] names no tools", f"use some of {', '.join(FLASHERS)}")
    for name in flashing.tools:
        demand(name in FLASHERS, f"[flash] tool {name!r} is unknown", did_you_mean(name, FLASHERS))
        demand(bool(names[name]), f"[flash] lists {name} and not what it calls this board")
