# SPDX-License-Identifier: Apache-2.0
"""The whole road with little training: a network that does not fit becomes one that does, proven on its core."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from mcunas.cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("road") / "quickstart"
    with pytest.raises(SystemExit) as leave:
        main(["quickstart", "--smoke", "--out", str(out)])
    assert leave.value.code == 0
    return out


def test_the_start_exceeds_every_budget_fourfold_and_the_end_none(folder: Path) -> None:
    rows = {row["name"]: row for row in json.loads((folder / "report.json").read_text())["quantities"]}
    for name in ("RAM (arena)", "Flash (model)", "Latency (modelled)"):
        row = rows[name]
        assert row["start"] >= 4 * row["budget"] and row["measured"] <= row["budget"]
    assert rows["RAM (arena)"]["measured"] == rows["RAM (arena)"]["predicted"]


def test_the_board_answers_like_the_host(folder: Path) -> None:
    run = json.loads((folder / "report.json").read_text())
    assert run["match"]["mismatches"] == 0 and run["match"]["inputs"] >= 300
    accuracy = run["accuracy"]
    assert accuracy["int8_board"] == accuracy["int8_host"] > 0.8


def test_validating_the_result_keeps_what_the_search_wrote(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = json.loads((folder / "report.json").read_text())
    with pytest.raises(SystemExit) as leave:
        main(["validate", str(folder / "model.tflite"), "--inputs", "1", "--out", str(folder)])
    after = json.loads((folder / "report.json").read_text())
    assert leave.value.code == 0 and after["match"]["inputs"] == 1
    for section in ("history", "widths", "budget", "start", "accuracy"):
        assert after[section] == before[section]
