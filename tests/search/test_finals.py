# SPDX-License-Identifier: Apache-2.0
"""The last stage of a search in a space: what it costs, which networks reach it, and that the best of them is chosen."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch

import mcunas
from mcunas import tasks
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.search.nas import finals
from mcunas.search.nas.derive import LEAST_USE, likely, share
from mcunas.search.nas.run import NasRun
from mcunas.search.settings import settings_of
from mcunas.space import space as spaces
from mcunas.space.supernet import Supernet
from mcunas.tasks import Schedule

BOARD, BUDGET = Board.load("mps2-an386"), Budget(ram="2 KiB", flash="7 KiB", latency="3.2 ms")
SPACE = {"options": ["conv3x3", "ds3", "conv1x1", "skip"], "stem": {"kernel": [3, 3], "channels": 4, "stride": [2, 2]},
         "stages": [{"channels": 4, "stride": 1, "slots": 2}, {"channels": 8, "stride": 2, "slots": 1}]}
SCHEDULE = Schedule(prune_epochs=10, finetune_epochs=1, warmup_epochs=1, batch=32, epoch_samples=160)


class Stop(Exception):
    pass


def _run(out: Path, method: str = "fbnet", **settings) -> NasRun:
    task = tasks.load("digits").sealed()
    run = NasRun(task, BOARD, BUDGET.for_board(BOARD), method, spaces.load("space", SPACE, task.input_shape, task.classes),
                 SCHEDULE, 1, out, None, settings_of(method, settings))
    run.feasible = run.prices.feasible(run.budget)
    return run


def _search(out: Path, method: str, stop_at: int = 0) -> mcunas.search.Result:
    def progress(phase: str, done: int, total: int, figures: dict) -> None:
        if stop_at and (phase, done) == ("search", stop_at):
            raise Stop

    return mcunas.search.search("digits", BOARD, BUDGET, method, out, 1, start="space", options=SPACE, schedule=SCHEDULE,
                                progress=progress)


@pytest.mark.parametrize(("method", "epochs", "count"), [("fbnet", 5, 2), ("prunet", 6, 2), ("random-space", 10, 0)])
def test_the_last_stage_comes_out_of_the_searchs_epochs(tmp_path: Path, method: str, epochs: int, count: int) -> None:
    run = _run(tmp_path, method)
    assert (run.supernet_epochs, run.finalists) == (epochs, count)


def test_too_few_epochs_for_two_networks_leave_all_of_them_to_the_supernet(tmp_path: Path) -> None:
    run = _run(tmp_path, finals=0.4)
    assert (run.supernet_epochs, run.finalists) == (10, 0)


def test_all_passes_on_images_are_booked_and_an_interrupted_stage_ends_the_same(tmp_path: Path) -> None:
    whole = _search(tmp_path / "whole", "fbnet")
    with pytest.raises(Stop):
        _search(tmp_path / "cut", "fbnet", stop_at=7)
    again = _search(tmp_path / "cut", "fbnet")
    facts, validation = whole.metrics["facts"], len(tasks.load("digits").validation)
    supernet, ranking = 5 * 128 + 4 * 32, len(facts["ranked"]) * (160 // 24)
    assert whole.metrics["ledger"]["samples"] == supernet + ranking + 2 * (2 * 160 + validation) + 160
    assert again.genotype == whole.genotype and again.metrics["facts"]["validations"] == facts["validations"]
    assert again.metrics["ledger"]["samples"] == whole.metrics["ledger"]["samples"]


def test_candidates_are_different_networks_that_fit_and_use_the_budget(tmp_path: Path) -> None:
    run = _run(tmp_path)
    probs = {slot: {o: 1 / (2 + k) for k, o in enumerate(options)} for slot, options in run.feasible.items()}
    found = [run.space.genotype(choices) for choices in likely(run, probs, 5)]
    assert len(set(found)) == len(found) > 1
    assert all(run.prices.fits(g, run.budget) and share(run, g) >= LEAST_USE for g in found)


def test_the_supernet_ranks_and_validation_chooses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = _run(tmp_path)
    net = Supernet(run.space, run.feasible)
    choices = likely(run, {slot: dict.fromkeys(options, 0.2) for slot, options in run.feasible.items()}, 4)
    worth = {run.space.genotype(c).key: k for k, c in enumerate(choices)}
    monkeypatch.setattr(finals, "shared_score", lambda run, net, path, *unused: worth[run.space.genotype(path).key] / 10)
    ranked = finals.ranked(run, net, choices)
    assert [worth[g.key] for g in ranked] == sorted(worth.values(), reverse=True)
    monkeypatch.setattr(finals, "trained", lambda task, g, *unused: -worth[g.key])
    assert finals.best(run, lambda count: ranked[:count]) == ranked[1]
    assert torch.equal(torch.tensor(run.facts["validations"]), torch.tensor([-float(worth[g.key]) for g in ranked[:2]]))
