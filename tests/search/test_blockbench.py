# SPDX-License-Identifier: Apache-2.0
"""Comparing blocks: costs that overlap, equal training, fronts and intervals that are right, a verdict for a search."""
from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mcunas import tasks
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.cli import main
from mcunas.cli.road import Plan, _blocks
from mcunas.errors import InputError
from mcunas.search.blockbench.compare import compare
from mcunas.search.blockbench.fronts import cost_ratios, envelope, hypervolume, hypervolumes, shared_range
from mcunas.search.blockbench.verdict import blocks_for
from mcunas.tasks import Schedule

SHORT = Schedule(finetune_epochs=1, batch=32)


def test_the_hypervolume_is_the_area_under_the_envelope():
    cost, accuracy = np.array([1.0, 10.0, 20.0, 100.0]), np.array([0.5, 0.7, 0.6, 0.9])
    assert envelope(cost, accuracy) == [(1, 0.5), (10, 0.7), (100, 0.9)]
    assert hypervolume(cost, accuracy, (1, 100), 0.4) == pytest.approx((0.1 + 0.3) / 2)
    assert hypervolume(cost, accuracy, (0.1, 10), 0.0) == pytest.approx(0.25)       # nothing below 1
    grid = np.exp(np.linspace(np.log(2), np.log(50), 200_001))
    best = np.array([0.5, 0.7, 0.9])[np.searchsorted([1, 10, 100], grid, side="right") - 1]
    assert hypervolume(cost, accuracy, (2, 50), 0.1) == pytest.approx(float((best - 0.1).mean()), abs=1e-4)


def test_intervals_tell_a_better_block_from_an_equal_one():
    random = np.random.default_rng(0)
    cost = {b: np.exp(random.uniform(0, 4, 24)) for b in "abc"}
    accuracy = {b: 0.5 + 0.1 * np.log(c) + 0.01 * random.standard_normal(24) for b, c in cost.items()}
    accuracy["c"] += 0.2
    volumes, first = hypervolumes(cost, accuracy)
    assert all(v.low <= v.high for v in volumes.values()) and first["c"] == 1.0
    assert volumes["c"].low > max(volumes["a"].high, volumes["b"].high)
    assert volumes["a"].low < volumes["b"].high and volumes["b"].low < volumes["a"].high
    ratio = cost_ratios(cost, accuracy, 0.8)
    assert ratio["c"].value == 1 and ratio["a"].low > 1
    assert shared_range({"a": np.array([1.0, 2.0]), "b": np.array([3.0, 4.0])}) is None


def test_blocks_are_compared_alike_and_the_verdict_feeds_a_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    task = tasks.load("digits")
    task = replace(task, train=task.train[:128], validation=task.validation[:64])
    boards, cycles, blocks = [Board.load("mps2-an386"), Board.load("mps2-an385-m0plus")], (150e3, 600e3), ("conv3x3", "ds3")
    with ThreadPoolExecutor(1) as executor:
        found = compare(task, boards, blocks, tmp_path, 3, cycles, SHORT, executor=executor)
    assert {r["samples"] for r in found["rows"]} == {128} and found["networks"] == {"conv3x3": 3, "ds3": 3}
    for row in found["rows"]:
        assert 0.9 * cycles[0] <= row["costs"]["mps2-an386"]["cycles"] <= 1.1 * cycles[1]
        assert row["costs"]["mps2-an385-m0plus"]["cycles"] > row["costs"]["mps2-an386"]["cycles"]
    monkeypatch.setattr("mcunas.search.blockbench.compare.train", None)       # all is kept
    assert compare(task, boards, blocks, tmp_path, 3, cycles, SHORT) == found
    kept = blocks_for(tmp_path / "verdict.json", "mps2-an386")
    assert kept and set(kept) <= set(blocks)
    plan = Plan("digits", boards[0], Budget(), "fbnet", tmp_path, blocks_from=tmp_path / "verdict.json")
    assert _blocks(plan) == {"options": {"options": [*kept, "skip"]}} and "--blocks-from" in plan.command()
    with pytest.raises(InputError, match="chooses no blocks"):
        _blocks(replace(plan, method="diffprune"))


def test_the_verb_leaves_a_verdict_that_searches_and_accelerations_read(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                                       monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mcunas.search.blockbench.compare.train", lambda job: {
        "accuracy": 0.9 if "ds3" in job.genotype.choices.values() else 0.5, "samples": 1, "cpu_seconds": 0.0})
    with pytest.raises(SystemExit) as ended:
        main(["blocks", "--out", str(tmp_path), "--block", "conv3x3", "--block", "ds3", "--nets", "2", "--least", "150000",
              "--most", "600000", "--json"])
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)["networks"] == {"conv3x3": 2, "ds3": 2}
    for method, where in (("fbnet", "options"), ("lana", "settings")):
        plan = Plan("digits", Board.load("mps2-an386"), Budget(), method, tmp_path, blocks_from=tmp_path / "verdict.json")
        assert "ds3" in (_blocks(plan)[where].get("blocks") or _blocks(plan)[where]["options"])


@pytest.mark.parametrize(("text", "said"), [
    ("[]", "not a verdict"), ("x", "not a verdict"), ("{}", "has no verdict for board"),
    (json.dumps({"boards": {"other": {}}}), "has no verdict for board 'b'")])
def test_another_file_is_no_verdict(tmp_path: Path, text: str, said: str):
    (tmp_path / "v.json").write_text(text)
    with pytest.raises(InputError, match=said):
        blocks_for(tmp_path / "v.json", "b")


@pytest.mark.parametrize("asked", [{"cycles": (0, 5)}, {"cycles": (9, 5)}, {"blocks": []}, {"nets": 0}, {"seed": -1}])
def test_what_cannot_be_compared_is_told(asked: dict, tmp_path: Path):
    whole = {"blocks": ["ds3"], "nets": 2, "cycles": (5, 9), "schedule": Schedule(), **asked}
    with pytest.raises(InputError, match="no range from|nothing to compare"):
        compare(tasks.load("digits"), [Board.load("mps2-an386")], out=tmp_path, **whole)
