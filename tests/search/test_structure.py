# SPDX-License-Identifier: Apache-2.0
"""Methods that change what a network is built with: branches, collapsed bottlenecks, width for depth."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch

import mcunas
from mcunas import api, device
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.errors import InputError
from mcunas.search.result import Result
from mcunas.space import Genotype
from mcunas.tasks import Schedule

BOARD = Board.load("mps2-an386")
SHORT = Schedule(prune_epochs=2, finetune_epochs=2, qat_epochs=1, warmup_epochs=1, batch=128, epoch_samples=256)


class Stop(Exception):
    pass


def _search(out: Path, **changes) -> Result:
    asked = {"schedule": SHORT, "options": {"widths": (4, 6), "strides": (1, 2)}, "seed": 1, **changes}
    return mcunas.search("digits", BOARD, Budget(), method="repnas", out=out, **asked)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return _search(tmp_path_factory.mktemp("run"))


def test_the_branches_of_the_whole_network_are_counted_and_fuse(finished: Result) -> None:
    facts = finished.metrics["facts"]
    assert facts["all_branches"] == 30 and facts["kept_branches"] == 7      # of five convolutions; floor(0.25 * 30)
    assert sum(bits.bit_count() for bits in finished.genotype.branches.values()) == 7
    assert facts["fusion_error"] < 1e-5
    assert finished.metrics["ledger"]["samples"] == 4 * 256
    plain = Genotype("residual", finished.genotype.options, (16, 16, 1), 10).build_dense()
    assert {n: t.shape for n, t in finished.model.state_dict().items()} == {
        n: t.shape for n, t in plain.state_dict().items()}


def test_an_interrupted_run_resumes_to_the_same_weights(finished: Result, tmp_path: Path) -> None:
    def stop(phase: str, done: int, total: int, figures: dict) -> None:
        if (phase, done) == stop.at:
            raise Stop

    for stop.at in (("search", 2), ("finetune", 1), ("finetune", 2)):
        with pytest.raises(Stop):
            _search(tmp_path, progress=stop)
    result = _search(tmp_path)
    assert result.genotype == finished.genotype
    for name, tensor in finished.model.state_dict().items():
        assert torch.equal(tensor, result.model.state_dict()[name]), name


@pytest.mark.parametrize("branches, kept", [("random", 7), ("hand-made", 20), ("plain", 5), ("identity", 5)])
def test_what_it_is_compared_with_keeps_so_many(branches: str, kept: int, tmp_path: Path) -> None:
    schedule = Schedule(**{**SHORT.__dict__, "prune_epochs": 1, "finetune_epochs": 1, "epoch_samples": 128})
    result = _search(tmp_path, settings={"branches": branches}, schedule=schedule)
    assert result.metrics["facts"]["kept_branches"] == kept and result.metrics["facts"]["fusion_error"] < 1e-5


def test_what_a_search_in_a_space_found_trains_in_branches(tmp_path: Path) -> None:
    choices = {"s0_0": "conv3x3", "s0_1": "ran3_e2", "s1_0": "ds3", "s1_1": "skip"}
    found = Genotype("digits", {"options": ["conv3x3", "ds3", "ran3_e2", "skip"]}, (16, 16, 1), 10, {"s0": 8}, choices)
    found.save(tmp_path / "genotype.json")
    result = _search(tmp_path / "out", start=str(tmp_path / "genotype.json"), options=None)
    assert result.genotype.choices == choices and result.metrics["facts"]["fusion_error"] < 1e-5
    again, images = Result.load(result.out), torch.rand(2, 1, 16, 16)
    assert torch.equal(again.model(images), result.model(images))
    model = mcunas.quantize(again)
    kinds = [op.kind for op in model.graph.ops]
    assert kinds == ["CONV_2D"] * 3 + ["DEPTHWISE_CONV_2D", "CONV_2D", "MEAN", "FULLY_CONNECTED"]
    assert device.validate(api.build(model, BOARD, tmp_path / "firmware"), n_random=3).mismatches == 0


def _structure(method: str, budget: Budget, out: Path) -> Result:
    """A search in a small space, with hardly any training."""
    schedule = Schedule(prune_epochs=1, finetune_epochs=1, warmup_epochs=0, batch=32, epoch_samples=160)
    stages = {"stages": [{"channels": 16, "stride": 2, "slots": 2}]}
    return mcunas.search("digits", BOARD, budget, method, out, options=stages, schedule=schedule)


def test_bottlenecks_collapse_where_the_budget_demands_it(tmp_path: Path) -> None:
    result = _structure("ran", Budget(2560), tmp_path)
    assert set(result.genotype.choices.values()) == {"mb3_e4", "ran3_e4"} and result.cost.ram_bytes <= 2560
    assert result.metrics["facts"]["collapsed"] == 1


def test_width_and_depth_without_training_fit_the_budget(tmp_path: Path) -> None:
    result = _structure("ran-implicit", Budget(flash="12 KiB"), tmp_path)
    narrow, deep = result.metrics["facts"]["scalings"]
    assert narrow["multiplier"] > deep["multiplier"] and narrow["nn_mass"] < deep["nn_mass"]
    assert "skip" not in result.genotype.choices.values() and 0.9 < result.metrics["budget_use"]["flash"] <= 1


def test_one_epoch_is_enough_to_learn_which_branches_and_none_is_refused(tmp_path: Path) -> None:
    changes = {"prune_epochs": 1, "finetune_epochs": 0, "epoch_samples": 128}
    found = [_search(tmp_path / b, settings={"branches": b}, schedule=Schedule(**{**SHORT.__dict__, **changes})).genotype
             for b in ("searched", "random")]
    assert found[0].branches != found[1].branches
    with pytest.raises(InputError, match="no epoch to find searched branches"):
        _search(tmp_path / "none", schedule=Schedule(**{**SHORT.__dict__, **changes, "prune_epochs": 0}))


def test_unknown_branches_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no branches 'some'"):
        _search(tmp_path, settings={"branches": "some"})
