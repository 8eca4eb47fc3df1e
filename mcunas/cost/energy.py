# SPDX-License-Identifier: Apache-2.0
"""Energy of an inference: the board's active power times the latency. Always an estimate.

Over the networks of MLPerf Tiny one board with one supply and firmware draws nearly constant power, so its mean is the
model. boards/cost/power.toml holds it per board and setup; ``python -m mcunas.cost.fit_power`` writes it.
"""
from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from mcunas.errors import InputError
from mcunas.paths import boards_dir

if TYPE_CHECKING:
    from mcunas.board import Board


@dataclass(frozen=True)
class Power:
    """Mean active power of a board in one setup (supply, and firmware where it matters); low..high is what was seen."""

    board: str
    setup: str
    milliwatts: float
    low: float
    high: float
    source: str

    def energy_uj(self, latency_us: float) -> float:
        return self.milliwatts * latency_us / 1e3

    @property
    def label(self) -> str:
        return (f"estimate: {self.milliwatts:g} mW ({self.low:g}..{self.high:g}, {self.board}, {self.setup}) x latency; "
                f"{self.source}")


def power_of(board: Board, setup: str = "") -> Power | None:
    """The power of a board; setup: part of one's name, default: the first that is listed. None where none was measured."""
    found = [p for p in power_table() if p.board.lower() == board.key]
    named = [p for p in found if setup in p.setup]
    if found and not named:
        raise InputError(f"no power for setup {setup!r}", board.key, f"known setups: {', '.join(p.setup for p in found)}")
    return named[0] if named else None


@lru_cache
def power_table() -> tuple[Power, ...]:
    """Raises InputError when the file is missing or damaged."""
    path = boards_dir() / "cost" / "power.toml"
    try:
        return tuple(Power(**entry) for entry in tomllib.loads(path.read_text())["power"])
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise InputError(f"cannot be used ({error!r})", str(path), "run python -m mcunas.cost.fit_power again") from None
