# SPDX-License-Identifier: Apache-2.0
"""What the benches keep of their arms: rows and failures count for what was asked, and for nothing else."""
from __future__ import annotations

from pathlib import Path

from mcunas.errors import DoesNotFit
from tests.bench.kept import FAILED, ROW, left, row_of, said

ASKED = {"method": "m", "tau": (1.5, 0.3)}


def test_a_row_is_taken_while_the_arm_asks_the_same_and_made_anew_when_it_does_not(tmp_path: Path) -> None:
    out, values = tmp_path / "arm-0", iter([1, 2])
    for asked, wanted in ((ASKED, 1), (dict(ASKED), 1), ({**ASKED, "tau": (5, 0.3)}, 2)):
        assert row_of(out, asked, lambda: {"value": next(values)}, arm="arm")["value"] == wanted
    assert left(out, ASKED, ROW) == []


def test_a_row_that_says_nothing_of_what_it_was_asked_counts(tmp_path: Path) -> None:
    (tmp_path / ROW).write_text('{"arm": "old"}')
    assert row_of(tmp_path, ASKED, dict) == {"arm": "old"}
    assert left(tmp_path, ASKED, ROW) == [{"arm": "old"}]


def test_an_arm_that_ends_in_an_error_leaves_its_words(tmp_path: Path) -> None:
    def fails() -> dict:
        raise DoesNotFit("too large")

    assert row_of(tmp_path / "arm-0", ASKED, fails, arm="arm", seed=0) is None
    assert row_of(tmp_path / "arm-0", ASKED, dict, arm="arm", seed=0) is None      # not again
    (failure,) = left(tmp_path / "arm-0", ASKED, FAILED)
    assert "arm, seed 0: too large" in said([failure])[0]
