# SPDX-License-Identifier: Apache-2.0
"""Energy is power times latency where a power is known; where none is, nothing is made up, and what is wrong is said."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mcunas.board import Board
from mcunas.cost import energy, estimate
from mcunas.errors import InputError
from tests.small_models import dense

BOARD = Board.load("mps2-an386")
KNOWN = replace(BOARD, key="nucleo-l4r5zi")


@pytest.fixture
def boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another folder of boards, without a table."""
    monkeypatch.setattr(energy, "boards_dir", lambda: tmp_path)
    energy.power_table.cache_clear()
    yield tmp_path
    energy.power_table.cache_clear()


def test_the_energy_is_the_named_setups_power_over_the_latency() -> None:
    first = next(p for p in energy.power_table() if p.board.lower() == KNOWN.key)
    cost = estimate(dense(64, 20), BOARD).with_energy(energy.power_of(KNOWN))
    assert cost.energy_uj == pytest.approx(first.milliwatts * cost.latency_us / 1e3)
    assert cost.energy_source.startswith(f"estimate: {first.milliwatts:g} mW") and first.setup in cost.energy_source


def test_a_board_without_a_measured_power_gets_no_energy() -> None:
    assert energy.power_of(BOARD) is None
    assert estimate(dense(64, 20), BOARD).energy_uj is None


def test_an_unknown_setup_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="nucleo-l4r5zi: no power for setup '9 V'; known setups: ") as caught:
        energy.power_of(KNOWN, "9 V")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [None, "power = 7", "[[power]]\nboard = 'b'", "not toml"])
def test_a_missing_or_damaged_table_is_one_line(text: str | None, boards: Path) -> None:
    if text:
        (boards / "cost").mkdir()
        (boards / "cost" / "power.toml").write_text(text)
    with pytest.raises(InputError, match=f"{boards / 'cost' / 'power.toml'}: cannot be used ") as caught:
        energy.power_of(BOARD)
    assert "\n" not in str(caught.value)
