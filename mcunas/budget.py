# SPDX-License-Identifier: Apache-2.0
"""What a model may use: RAM (its arena), flash (its own share of the image) and latency.

Sizes are bytes and microseconds inside; "64 KiB" and "50 ms" exist only at this surface.
"""
from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING

from mcunas.errors import InputError

if TYPE_CHECKING:
    from mcunas.board import Board

_BYTES = {"": 1, "b": 1, "kib": 1024, "k": 1024, "kb": 1000, "mib": 1024**2, "m": 1024**2, "mb": 1000**2}
_MICROSECONDS = {"us": 1.0, "ms": 1e3, "s": 1e6}
_QUANTITY = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*([a-zA-Zµ]*)\s*")


def _parse(text: str, units: Mapping[str, float], what: str, example: str) -> float:
    match = _QUANTITY.fullmatch(text)
    unit = match.group(2).lower().replace("µ", "u") if match else ""
    number = float(match.group(1).replace("_", "")) * units.get(unit, math.inf) if match else math.inf
    if not math.isfinite(number):
        raise InputError(f"cannot read {text!r} as {what}", fix=f"write it like {example!r}")
    return number


def parse_bytes(value: int | str | None) -> int | None:
    """``"64 KiB"``, ``"64k"``, ``65536`` -> bytes. Raises InputError."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Integral | str):
        raise InputError(f"a size of {value!r} is no number of bytes", fix="write it like '64 KiB'")
    size = int(_parse(value, _BYTES, "a size", "64 KiB") if isinstance(value, str) else value)
    if size <= 0:
        raise InputError(f"a size of {value!r} is not positive", fix="write it like '64 KiB'")
    return size


def parse_us(value: float | str | None) -> float | None:
    """``"50 ms"`` -> microseconds; a bare number is microseconds already. Raises InputError."""
    if value is None:
        return None
    time_us = _parse(value, _MICROSECONDS, "a time", "50 ms") if isinstance(value, str) else float(value)
    if not 0 < time_us < math.inf:
        raise InputError(f"a latency of {value!r} is not positive, or has no end", fix="write it like '50 ms'")
    return time_us


@dataclass(frozen=True)
class Budget:
    """Limits for one model. ``None`` means "what the board has" (RAM, flash) or "no limit" (latency).

    ram: the arena (activations, input, output, scratch). flash: weights, tables, model code and kernels, that is
    the image less the firmware's own share. latency: cycles of one inference over the board's clock.
    """

    ram: int | str | None = None
    flash: int | str | None = None
    latency: float | str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "ram", parse_bytes(self.ram))
        object.__setattr__(self, "flash", parse_bytes(self.flash))
        object.__setattr__(self, "latency", parse_us(self.latency))

    @property
    def ram_bytes(self) -> int | None:
        return self.ram  # type: ignore[return-value]

    @property
    def flash_bytes(self) -> int | None:
        return self.flash  # type: ignore[return-value]

    @property
    def latency_us(self) -> float | None:
        return self.latency  # type: ignore[return-value]

    def for_board(self, board: Board) -> Budget:
        """Fill what is unset from the board; a limit beyond what the board has is an InputError."""
        for name, limit in (("ram", board.ram_bytes), ("flash", board.flash_bytes)):
            asked = getattr(self, name)
            if asked is not None and asked > limit:
                raise InputError(f"a {name} budget of {asked} bytes exceeds what a model may use on {board.key}",
                                 fix=f"give at most {limit}")
        return replace(self, ram=self.ram or board.ram_bytes, flash=self.flash or board.flash_bytes)
