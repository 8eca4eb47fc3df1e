# SPDX-License-Identifier: Apache-2.0
"""Settings of methods: what can be asked, and what is refused in words before anything runs."""
from __future__ import annotations

import pickle
from pathlib import Path

import optuna
import pytest

import mcunas
from mcunas.errors import InputError
from mcunas.search import METHODS
from mcunas.search.asktell.fitting import FittingSampler
from mcunas.search.asktell.problem import Problem
from mcunas.search.asktell.trust import TrustRegionSampler
from mcunas.search.settings import settings_of
from mcunas.space import Genotype
from mcunas.space.factored import Genes
from mcunas.tasks import Schedule

SHORT = Schedule(prune_epochs=2, finetune_epochs=1, warmup_epochs=0, batch=16, rate=0.05, epoch_samples=64)
SPACE = {"stem": {"kernel": [3, 3], "channels": 4, "stride": [2, 2]}, "options": ["ds3", "mb3_e2"],
         "stages": [{"channels": 4, "stride": 2, "slots": 1}]}


@pytest.mark.parametrize("method", METHODS)
def test_every_methods_defaults_can_be_asked_for(method: str) -> None:
    known = settings_of(method, {})
    assert settings_of(method, known) == known


@pytest.mark.parametrize("asked, said", [
    ({"rate": "abc"}, "rate of method 'fbnet' cannot be 'abc': it must be a number"),
    ({"rate": True}, "a number"), ({"rate": -1}, "a number"), ({"rate": float("nan")}, "a number"),
    ({"tau": 1}, "a list of 2 positive numbers; the default is"), ({"tau": [1.0, 0]}, "a list of 2"),
    ({"loss": 3}, "text"), ({"rates": 1}, "has no setting 'rates'; did you mean 'rate'")])
def test_what_cannot_be_used_is_refused(asked: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        settings_of("fbnet", asked)


def test_counts_are_whole_and_switches_are_switches() -> None:
    assert settings_of("padnas", {"stages": 2, "drop": 0})["stages"] == 2
    for method, asked in (("padnas", {"stages": 0}), ("padnas", {"stages": 1.5}), ("prunet", {"widths": "no"}),
                          ("scratch", {"widths": 4})):
        with pytest.raises(InputError, match="it must be"):
            settings_of(method, asked)


@pytest.mark.parametrize(("method", "settings", "said"), [
    ("padnas", {"population": 1}, "padnas cannot evolve a population of 1"),
    ("nsga2", {"population": 1}, "nsga2 cannot evolve a population of 1"),
    ("rarts", {"lam": 0, "beta": 0}, "no step with lam and beta both 0"),
    ("fbnet", {"rate": 1e30}, "the training has diverged"),
    ("tpe", {"factors": {"op": 3}}, "the factor op cannot be 3; give a list of names"),
    ("tpe", {"factors": {"op": ["mb2"], "width": ["wide"]}}, "the factor width .* a list of positive numbers"),
    ("tpe", {"factors": {"op": ["mb2"], "width": [-1]}}, "the factor width"),
    ("lana", {"blocks": [1]}, r"lana has no blocks \[1\]"),
    ("scratch", {"widths": {"stem": "8"}}, "no such widths: stem")])
def test_values_that_no_method_can_work_with_are_told(method: str, settings: dict, said: str, tmp_path: Path) -> None:
    options = {} if method in ("lana", "scratch") else SPACE
    with pytest.raises(InputError, match=said):
        mcunas.search("digits", mcunas.Board.load("mps2-an386"), mcunas.Budget(), method, tmp_path, options=options,
                      settings=settings, schedule=SHORT)


@pytest.mark.parametrize("content", [b"", b"garbage", pickle.dumps({"weights": 1}, 2)], ids=["empty", "garbage", "other"])
def test_a_parent_that_cannot_be_read_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "parent.pt").write_bytes(content)
    with pytest.raises(InputError, match="parent"):
        mcunas.search("digits", mcunas.Board.load("mps2-an386"), mcunas.Budget(), "nsga2", tmp_path / "run", options=SPACE,
                      settings={"parent_from": str(tmp_path)}, schedule=SHORT)


def test_one_network_at_a_time_is_a_generation_too() -> None:
    problem = Problem(Genes({"a": (1, 2)}), lambda point: None, lambda genotype: {}, lambda figures: (0.0,))  # type: ignore[arg-type,return-value]
    assert TrustRegionSampler(problem, 1, 0, evaluations=1).first == 1


def test_a_second_draw_has_a_seed_that_numpy_takes() -> None:
    seeds: list[int] = []

    def sampler_of(seed: int) -> optuna.samplers.BaseSampler:
        seeds.append(seed)
        return optuna.samplers.RandomSampler(seed=seed)

    problem = Problem(Genes({"a": (1, 2)}), lambda point: Genotype("residual", {}, (8, 8, 1), point["a"]), lambda g: {},
                      lambda figures: (0.0,), violation=lambda figures: 1.0)
    study = optuna.create_study(sampler=FittingSampler(problem, sampler_of).seeded(2**32 - 1))
    study.ask(problem.distributions())
    assert len(seeds) > 10 and max(seeds) < 2**32
