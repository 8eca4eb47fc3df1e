# SPDX-License-Identifier: Apache-2.0
"""proxyless and rarts in small: their own pieces by hand, and that an interrupted search ends where a whole one does."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch

import mcunas.search
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.errors import InputError
from mcunas.search.proxyless import Reinforce, keep_mass
from mcunas.search.result import Result
from mcunas.tasks import Schedule

SCHEDULE = Schedule(prune_epochs=3, finetune_epochs=1, warmup_epochs=1, batch=16, rate=0.05, epoch_samples=128)
OPTIONS = {"options": ["conv3x3", "ds3", "mb3_e2", "conv1x1", "skip"]}
BUDGET = Budget("16 KiB", "32 KiB", "12 ms")


class Stop(Exception):
    pass


def search(method: str, settings: dict, out: Path, stop_after: int = 0) -> Result:
    def progress(phase: str, done: int, total: int, figures: dict) -> None:
        if phase == "search" and done == stop_after:
            raise Stop

    return mcunas.search.search("digits", Board.load("mps2-an386"), BUDGET, method, out, options=OPTIONS,
                                schedule=SCHEDULE, settings=settings, progress=progress)


@pytest.mark.parametrize(("method", "settings"), [("proxyless", {"update": "two"}), ("rarts", {})])
def test_an_interrupted_search_ends_as_a_whole_one_and_fits(tmp_path, method, settings):
    whole = search(method, settings, tmp_path / "whole")
    with pytest.raises(Stop):
        search(method, settings, tmp_path / "cut", stop_after=2)
    again = search(method, settings, tmp_path / "cut")
    facts = [{k: v for k, v in r.metrics["facts"].items() if k != "exact_prices"} for r in (again, whole)]
    assert again.genotype == whole.genotype and facts[0] == facts[1]
    assert all(torch.equal(a, b) for a, b in zip(again.model.parameters(), whole.model.parameters(), strict=True))
    assert max(whole.metrics["budget_use"].values()) <= 1


def test_samples_are_those_of_the_passes(tmp_path):
    """Per epoch of 128: four parts of five for weights; the rest for alpha, which rests in the first epoch."""
    found = search("proxyless", {"update": "reinforce", "networks": 3}, tmp_path)
    weights, arch = 96, 16          # whole batches of 102 and of 26
    assert found.metrics["ledger"]["samples"] == 3 * weights + 2 * 3 * arch + 128


@pytest.mark.parametrize("method", ["proxyless", "rarts"])
def test_an_unknown_update_is_refused(tmp_path, method):
    with pytest.raises(InputError, match="no update 'three'"):
        search(method, {"update": "three"}, tmp_path)


def test_an_update_of_two_leaves_the_others_as_probable_as_before():
    alpha = torch.randn(5, generator=torch.Generator().manual_seed(0))
    before = alpha.clone()
    alpha[1] += 0.7
    alpha[3] -= 0.2
    keep_mass(alpha, (1, 3), before)
    now, was = alpha.softmax(0), before.softmax(0)
    assert torch.allclose(now[[0, 2, 4]], was[[0, 2, 4]])
    assert float((now[1] / now[3]).log()) == pytest.approx(float((was[1] / was[3]).log()) + 0.9, abs=1e-5)


def test_the_mean_of_reinforces_draws_is_the_slope_of_the_expected_reward():
    alpha, rewards = torch.tensor([0.3, -0.2, 0.1], requires_grad=True), torch.tensor([1.0, 3.0, 2.0])
    exact = torch.autograd.grad(-(alpha.softmax(0) * rewards).sum(), alpha)[0]
    random, learner, total = torch.Generator().manual_seed(0), Reinforce(), torch.zeros(3)
    for _ in range(400):
        drawn = torch.multinomial(alpha.detach().softmax(0), 4, replacement=True, generator=random).tolist()
        surrogate = learner.surrogate([alpha.log_softmax(0)[i] for i in drawn], [float(rewards[i]) for i in drawn])
        total += torch.autograd.grad(surrogate, alpha)[0] / 400
    assert torch.allclose(total, exact, atol=0.05)
