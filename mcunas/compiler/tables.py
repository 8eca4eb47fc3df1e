# SPDX-License-Identifier: Apache-2.0
"""Cost tables of a core, read from boards/cost: code size per kernel and level, instructions per unit of work.

`kernels-<core>.toml` is written by ``python -m mcunas.cost.measure_code``, `instructions-<core>.toml` by
``python -m mcunas.cost.fit``. A kernel that a table lacks is priced like its portable form.
"""
from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import itemgetter, mul
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcunas.compiler.features import FEATURES
from mcunas.compiler.goals import level
from mcunas.errors import InputError
from mcunas.paths import boards_dir

if TYPE_CHECKING:
    from mcunas.board import Board

DEFAULT = "default"


@dataclass(frozen=True)
class CodeTable:
    """Kernel -> bytes of its own code and of one parameter struct, members of the compiler's libraries that it needs.

    further_percent: of its code that a kernel adds to a larger one's; less than 100 where the link sees the whole program.
    member_bytes: of each such member that the firmware does not have anyway. call_bytes, stream_bytes, stage_bytes: of
    model.c per kernel call, stream, and op in a stream. firmware_bytes: board key -> what an image holds besides.
    """

    code_bytes: dict[str, int]
    params_bytes: dict[str, int]
    members: dict[str, tuple[str, ...]]
    member_bytes: dict[str, int]
    call_bytes: int
    stream_bytes: int
    stage_bytes: int
    further_percent: int
    firmware_bytes: dict[str, int]
    source: str

    def code(self, kernel: str) -> int:
        return self.code_bytes[_known(kernel, self.code_bytes)]

    def needs(self, kernel: str) -> tuple[str, ...]:
        return self.members[_known(kernel, self.members)]

    def libraries(self, kernels: Iterable[str]) -> int:
        """Bytes of the library members that these kernels need, each counted once."""
        needed = {m for k in kernels for m in self.needs(k)}
        return sum(self.member_bytes.get(m, 0) for m in needed)

    def linked(self, kernels: Iterable[str]) -> int:
        """Bytes of the code of these kernels, which are distinct, and of the library members that they need."""
        first, *further = sorted(map(self.code, kernels := tuple(kernels)), reverse=True) or [0]
        return first + sum(further) * self.further_percent // 100 + self.libraries(kernels)

    def params(self, kernel: str) -> int:
        return self.params_bytes[_known(kernel, self.params_bytes)]


@dataclass(frozen=True)
class InstructionTable:
    """kernel -> instructions and modelled cycles per FEATURES. Errors in percent, of layers that the fit has not seen:
    (median, 90th percentile)."""

    per_unit: dict[str, tuple[float, ...]]
    cycles_per_unit: dict[str, tuple[float, ...]]
    instructions_error: tuple[float, float]
    cycles_error: tuple[float, float]
    source: str

    @property
    def error_percent(self) -> float:
        return self.instructions_error[0]

    def of(self, kernel: str) -> tuple[float, ...]:
        return self.per_unit[_known(kernel, self.per_unit)]

    def cycles_of(self, kernel: str) -> tuple[float, ...]:
        return self.cycles_per_unit[_known(kernel, self.cycles_per_unit)]

    def work(self, kernel: str, found: tuple) -> tuple[float, float]:
        """(instructions, cycles) of an op's FEATURES."""
        if kernel not in self._priced:
            self._priced[kernel] = tuple(_without_zeros(prices) for prices in (self.of(kernel), self.cycles_of(kernel)))
        (first, pick), (second, pick_second) = self._priced[kernel]
        return sum(map(mul, first, pick(found))), sum(map(mul, second, pick_second(found)))

    @cached_property
    def _priced(self) -> dict[str, Any]:
        """Most prices are zero."""
        return {}


def _without_zeros(prices: tuple[float, ...]) -> tuple[tuple[float, ...], itemgetter]:
    """(prices, what picks the FEATURES that have them); two at least, for a single item would not be a tuple."""
    places = [k for k, price in enumerate(prices) if price] + [0, 1]
    return tuple(prices[k] for k in places[:-2]) + (0.0, 0.0), itemgetter(*places)


def _known(kernel: str, table: dict) -> str:
    """The entry that prices a kernel: its own, its portable form's (mn_conv_s8 for mn_conv_s8_dsp), or the default; for int4
    weights, where they have none, those of the kernel for int8."""
    for name in (kernel, kernel.replace("_s4", "_s8")):
        for known in (name, re.sub(r"(_s(?:4|8|16))_\w+$", r"\1", name)):
            if known in table:
                return known
    return DEFAULT


def _file(board: Board, prefix: str) -> Path:
    name = f"{prefix}-{board.cost_table}.toml"
    beside = board.path.parent / "cost" / name
    return beside if beside.exists() else boards_dir() / "cost" / name


def _path(board: Board, prefix: str) -> Path:
    path = _file(board, prefix)
    if not path.exists():
        raise InputError(f"no cost table {path.name}", where=f"board {board.key}",
                         fix=f"run python -m mcunas.cost.{'measure_code' if prefix == 'kernels' else 'fit'} "
                             f"--board {board.key}")
    return path


def has_code_table(board: Board) -> bool:
    """A core of the user's own may have none."""
    return _file(board, "kernels").exists()


def has_instruction_table(board: Board) -> bool:
    return _file(board, "instructions").exists()


def code_table(board: Board, goal: str = "balanced") -> CodeTable:
    """As code is compiled for a goal. Raises InputError when the table is missing or damaged."""
    return _code(_path(board, "kernels"), level(goal))


def instruction_table(board: Board) -> InstructionTable:
    """Raises InputError when the table is missing or damaged."""
    return _instructions(_path(board, "instructions"))


def clear() -> None:
    """Forget what was read: a table has been written anew."""
    _code.cache_clear()
    _instructions.cache_clear()


@lru_cache(maxsize=32)
def _code(path: Path, section: str) -> CodeTable:
    data = _read(path)
    try:
        data, source = data[section], str(data["source"])
        kernels = data["kernels"]
        code, params = ({k: int(v[name]) for k, v in kernels.items()} for name in ("code", "params"))
        return CodeTable(code, params, {k: tuple(v["members"]) for k, v in kernels.items()}, dict(data["members"]),
                         int(data["call_bytes"]), int(data["stream_bytes"]), int(data["stage_bytes"]),
                         int(data["further_percent"]), dict(data["firmware"]), source)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"damaged cost table ({error!r})", where=str(path)) from None


@lru_cache(maxsize=32)
def _instructions(path: Path) -> InstructionTable:
    data = _read(path)
    try:
        instructions, cycles = ({k: tuple(float(v.get(f, 0)) for f in FEATURES) for k, v in data[what].items()}
                                for what in ("instructions", "cycles"))
        errors: Any = [tuple(map(float, data[f"{what}_error_percent"])) for what in ("instructions", "cycles")]
        return InstructionTable(instructions, cycles, errors[0], errors[1], str(data["source"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"damaged cost table ({error!r})", where=str(path)) from None


def _read(path: Path) -> dict:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"cannot read the cost table ({error})", where=str(path)) from None
