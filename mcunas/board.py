# SPDX-License-Identifier: Apache-2.0
"""Board: one TOML file per board, read strictly. It feeds the search's limits, the compiler flags, the linker script,
the firmware's constants and the emulator's command line, so that all of them agree.

Integers are bytes and hertz. boards/*.toml is the list of known boards.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mcunas.board_checks import check
from mcunas.board_parts import (
    GUARD_BYTES,
    Clock,
    Console,
    Core,
    CycleModel,
    Emulate,
    Fetch,
    Flashing,
    Memory,
    Reserve,
    Timer,
)
from mcunas.errors import InputError, did_you_mean
from mcunas.paths import boards_dir
from mcunas.record import read_toml, record


@dataclass(frozen=True)
class _File:
    """The layout of a board file."""

    name: str
    chip: str
    family: str
    core: Core
    memory: tuple[Memory, ...]
    reserve: Reserve
    console: Console
    timer: Timer
    cost: str                       # boards/cost/<cost>.toml
    emulate: Emulate | None = None
    fetch: Fetch | None = None
    clock: Clock | None = None
    flash: Flashing | None = None


@dataclass(frozen=True)
class Board:
    key: str
    name: str
    chip: str
    family: str
    core: Core
    memories: tuple[Memory, ...]
    reserve: Reserve
    console: Console
    timer: Timer
    cost_table: str
    emulate: Emulate | None
    fetch: Fetch | None
    clock: Clock | None
    flashing: Flashing | None
    path: Path = field(compare=False)

    @staticmethod
    def keys() -> tuple[str, ...]:
        """The known boards, sorted."""
        return tuple(sorted(path.stem for path in boards_dir().glob("*.toml")))

    @staticmethod
    def cores() -> tuple[str, ...]:
        """The emulated machines that stand for a core each: what is measured or tested per core runs on these."""
        boards = (Board.load(key) for key in Board.keys())
        return tuple(board.key for board in boards if board.emulate and board.emulate.core_model)

    @staticmethod
    def load(key_or_path: str | Path) -> Board:
        """A board by key ("mps2-an386") or from a .toml file. Raises InputError."""
        text = str(key_or_path)
        if text.endswith(".toml"):
            return _load(Path(text))
        if text not in Board.keys():
            raise InputError(f"unknown board {text!r}", fix=did_you_mean(text, Board.keys(), "known boards:"))
        return _load(boards_dir() / f"{text}.toml")

    @property
    def reference(self) -> str:
        """What `load` takes for this very board: its key, or the path of a file of one's own, whatever that is called."""
        return str(self.path) if self.is_own else self.key

    @property
    def is_own(self) -> bool:
        """Whether it is none of those that come with mcunas, even if its file is called like one."""
        return self.path.resolve() != (boards_dir() / f"{self.key}.toml").resolve()

    @property
    def cpu(self) -> str:
        return self.core.cpu

    @property
    def fpu(self) -> str:
        return self.core.fpu

    @property
    def isa(self) -> str:
        return self.core.isa

    @property
    def clock_hz(self) -> int:
        return self.core.clock_hz

    @property
    def flash(self) -> Memory:
        """The region that holds code, weights and tables."""
        return next(memory for memory in self.memories if memory.kind == "flash")

    def ram_for(self, use: str) -> Memory:
        """The RAM region for "data", "stack" or "arena"; of several for the arena the first."""
        return next(memory for memory in self.memories if use in memory.use)

    @property
    def flash_bytes(self) -> int:
        """Flash a model may use: weights, tables, its code and kernels."""
        return self.flash.size - self.reserve.flash

    @property
    def ram_bytes(self) -> int:
        """RAM a model may use: its arena, in all its regions."""
        return sum(self.arenas.values())

    @property
    def arenas(self) -> dict[str, int]:
        """Region -> bytes that a model's arena may use of it: the region less what else lives there. Fastest first."""
        taken = {"data": self.reserve.ram, "stack": self.reserve.stack, "arena": 0}
        regions = [memory for memory in self.memories if "arena" in memory.use]
        guard = GUARD_BYTES if len(regions) > 1 else 0
        return {m.name: m.size - sum(taken[use] for use in m.use) - (0 if "data" in m.use else guard) for m in regions}

    @property
    def emulated_timer_hz(self) -> int:
        """Of the timer in the emulator; 0: it has none that counts."""
        assert self.emulate is not None
        return self.timer.hz if self.emulate.timer_hz < 0 else self.emulate.timer_hz

    @property
    def cflags(self) -> tuple[str, ...]:
        """Architecture flags for arm-none-eabi-gcc."""
        fpu = ("-mfloat-abi=hard", f"-mfpu={self.fpu}") if self.fpu else ("-mfloat-abi=soft",)
        return ("-mthumb", f"-mcpu={self.cpu}", *fpu)

    @property
    def calibration_path(self) -> Path:
        """Where this board's own cycle table lies, once `mcunas calibrate` has written it."""
        return self.path.parent / "cost" / f"{self.key}.toml"

    @cached_property
    def cycle_model(self) -> CycleModel:
        """The board's own table where there is one, else its core's. Raises InputError."""
        if not self.calibration_path.exists():
            return self.core_cycle_model
        own = _cycle_model(self.calibration_path)
        if own.core != self.cpu:
            raise InputError(f"was measured on a {own.core}, the board has a {self.cpu}", str(self.calibration_path),
                             "calibrate again, or delete it")
        return own

    @cached_property
    def core_cycle_model(self) -> CycleModel:
        tables = [folder / "cost" / f"{self.cost_table}.toml" for folder in (self.path.parent, boards_dir())]
        found = next((table for table in tables if table.exists()), None)
        if found is None:
            known = {path.stem for path in tables[1].parent.glob("cortex-*.toml")}
            raise InputError(f"cost {self.cost_table!r} is no table", str(self.path),
                             did_you_mean(self.cost_table, sorted(known)))
        return _cycle_model(found)


def _load(path: Path) -> Board:
    where = str(path)
    f = record(_File, read_toml(path), where)
    board = Board(path.stem, f.name, f.chip, f.family, f.core, f.memory, f.reserve, f.console, f.timer, f.cost,
                  f.emulate, f.fetch, f.clock, f.flash, path)
    check(board, where)
    return board


def _cycle_model(path: Path) -> CycleModel:
    return record(CycleModel, read_toml(path), str(path))
