# SPDX-License-Identifier: Apache-2.0
"""The public search: every method ends within the budget, resumes to the same result, and fails in words."""
from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import mcunas
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.cost import estimate
from mcunas.errors import DoesNotFit, InputError
from mcunas.graph import read_tflite
from mcunas.graph.torch_lower import lower
from mcunas.prune.groups import find_groups
from mcunas.prune.resources import Resources
from mcunas.prune.skeleton import skeleton_of
from mcunas.search.result import Result
from mcunas.search.run import Schedule
from mcunas.space import Genotype
from mcunas.tasks.test_reads import reads

BOARD = Board.load("mps2-an386")
SHORT = Schedule(prune_epochs=3, finetune_epochs=1, qat_epochs=1, warmup_epochs=1, batch=256, width_rate=0.3)
START, OPTIONS = "plain", {"stages": [[6, 8], [12]], "hidden": 16}      # prices of a chain are cheap


def _budget(share: float) -> Budget:
    """Between what the narrowest network takes (0) and the dense one (1)."""
    genotype = Genotype(START, OPTIONS, (16, 16, 1), 10, {})
    net, example = genotype.build_dense().eval(), torch.zeros(1, 1, 16, 16)
    channels = find_groups(net, example)
    resources = Resources(skeleton_of(lower(net, example), channels), BOARD)
    low, high = resources.exact([4] * len(channels.groups)), resources.exact([g.channels for g in channels.groups])
    between = [a + share * (b - a) for a, b in ((low.ram_bytes, high.ram_bytes), (low.flash_bytes, high.flash_bytes),
                                                (low.latency_us, high.latency_us))]
    return Budget(int(between[0]), int(between[1]), between[2])


BUDGET = _budget(0.2)


class Stop(Exception):
    pass


def _search(out: Path, method: str = "diffprune", **changes) -> Result:
    asked = {"schedule": SHORT, "start": START, "options": OPTIONS, "seed": 1, **changes}
    return mcunas.search("digits", BOARD, BUDGET, method=method, out=out, **asked)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return _search(tmp_path_factory.mktemp("run"))


@pytest.mark.parametrize("method", ["diffprune", "smcp", "uniform", "random", "priced", "macs", "greedy", "unsliced"])
def test_every_method_ends_within_every_budget(method: str, finished: Result, tmp_path: Path) -> None:
    result = finished if method == "diffprune" else _search(tmp_path, method)
    assert result.cost.ram_bytes <= BUDGET.ram_bytes
    assert result.cost.flash_bytes <= BUDGET.flash_bytes
    assert result.cost.latency_us <= BUDGET.latency_us
    assert max(result.metrics["budget_use"].values()) > 0.9
    assert result.metrics["ledger"]["samples"] == 4 * 1024


@pytest.mark.parametrize("method", ["diffprune", "smcp"])
def test_an_interrupted_search_resumes_to_the_same_weights(method: str, finished: Result, tmp_path: Path) -> None:
    def stop(phase: str, done: int, total: int, figures: dict) -> None:
        if stop.at == (phase, done):
            raise Stop

    for stop.at in (("prune", 2), ("prune", 3), ("finetune", 1)):
        with pytest.raises(Stop):       # the figures are shown before the checkpoint is written: that epoch is lost
            _search(tmp_path / "stopped", method, progress=stop)
    result = _search(tmp_path / "stopped", method)
    whole = finished if method == "diffprune" else _search(tmp_path / "whole", method)
    assert result.genotype == whole.genotype and result.metrics["facts"] == whole.metrics["facts"]
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, result.model.state_dict()[name]), name


def test_widths_that_were_found_train_from_scratch(finished: Result, tmp_path: Path) -> None:
    result = _search(tmp_path, "scratch", settings={"widths": finished.genotype.widths})
    assert result.genotype == finished.genotype and result.cost == finished.cost
    with pytest.raises(InputError, match="no such widths: features.0"):
        _search(tmp_path / "wide", "scratch", settings={"widths": {"features.0": 7}})


def test_a_teacher_is_charged_and_resumes(tmp_path: Path) -> None:
    schedule = Schedule(**{**SHORT.__dict__, "prune_epochs": 0, "finetune_epochs": 2, "teacher_epochs": 2})

    def stop(phase: str, done: int, total: int, figures: dict) -> None:
        if (phase, done) == stop.at:
            raise Stop

    for stop.at in (("teacher", 2), ("finetune", 1)):
        with pytest.raises(Stop):
            _search(tmp_path / "stopped", "uniform", schedule=schedule, progress=stop)
    result = _search(tmp_path / "stopped", "uniform", schedule=schedule)
    whole = _search(tmp_path / "whole", "uniform", schedule=schedule)
    assert result.metrics["ledger"]["samples"] == whole.metrics["ledger"]["samples"] == 4 * 1024
    assert all(torch.equal(t, whole.model.state_dict()[n]) for n, t in result.model.state_dict().items())


def test_a_setting_that_the_method_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="method 'smcp' has no setting 'widths'; it has variant"):
        _search(tmp_path, "smcp", settings={"widths": {}})


def test_a_finished_search_comes_back_from_its_folder(finished: Result) -> None:
    again = _search(finished.out)
    images = torch.rand(3, 1, 16, 16)
    assert again.genotype == finished.genotype and again.cost == finished.cost
    assert torch.equal(again.model(images), finished.model.eval()(images))
    history = json.loads((finished.out / "history.json").read_text())
    assert [h["phase"] for h in history] == ["prune"] * 3 + ["finetune"]
    assert {"widths", "duals", "ram_bytes", "annealed_ram_bytes", "validation"} <= set(history[0])


def test_quantize_writes_a_model_that_costs_what_the_search_said(finished: Result) -> None:
    model = mcunas.quantize(finished)
    cost = estimate(read_tflite(finished.out / "model.tflite"), BOARD, ram_bytes=finished.budget.ram_bytes)
    as_given, said = estimate(read_tflite(finished.out / "model.tflite"), BOARD, rewrite=False,
                              ram_bytes=finished.budget.ram_bytes), finished.cost
    assert (as_given.ram_bytes, as_given.macs, as_given.weight_bytes) == (said.ram_bytes, said.macs, said.weight_bytes)
    assert as_given.flash_bytes <= said.flash_bytes and as_given.cycles <= said.cycles      # never more than promised
    assert cost.ram_bytes <= said.ram_bytes and cost.flash_bytes <= said.flash_bytes        # dead channels
    assert mcunas.quantize(finished).metrics == model.metrics


def test_a_model_that_grew_out_of_its_flash_has_not_read_the_test_split(finished: Result, tmp_path: Path,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(finished.out, tmp_path / "run")
    monkeypatch.setattr("mcunas.quantize.driver.flash_bytes_of", lambda graph, board: 1 << 30)
    before = reads(tmp_path / "run")
    with pytest.raises(DoesNotFit, match="the trained model takes"):
        mcunas.quantize(Result.load(tmp_path / "run"), precision="auto", resume=False)
    assert reads(tmp_path / "run") == before


def test_a_search_that_begins_anew_forgets_its_quantization(finished: Result, tmp_path: Path) -> None:
    shutil.copytree(finished.out, tmp_path / "run")
    (tmp_path / "run" / "quantize.json").write_text("{}")
    _search(tmp_path / "run", resume=False)
    assert not (tmp_path / "run" / "quantize.json").exists()


@pytest.mark.parametrize(("name", "content"), [("metrics.json", "[]"), ("metrics.json", '{"asked": 1}'),
                                               ("quantize.json", "[]"), ("quantize.json", "{"), ("model.tflite", "TFL")])
def test_a_damaged_file_of_what_is_finished_is_made_again(name: str, content: str, finished: Result, tmp_path: Path) -> None:
    shutil.copytree(finished.out, tmp_path / "run")
    mcunas.quantize(Result.load(tmp_path / "run"))
    whole = (tmp_path / "run" / "model.tflite").read_bytes()
    (tmp_path / "run" / name).write_text(content)
    mcunas.quantize(_search(tmp_path / "run"))
    assert (tmp_path / "run" / "model.tflite").read_bytes() == whole


def test_an_interrupted_quantization_resumes_to_the_same_file(finished: Result) -> None:
    schedule = Schedule(**{**SHORT.__dict__, "qat_epochs": 2})
    result = Result(**{**finished.__dict__, "schedule": schedule})

    def stop(*unused: object) -> None:
        raise Stop

    mcunas.quantize(result, resume=False)
    whole = (finished.out / "model.tflite").read_bytes()
    (finished.out / "quantize.pt").unlink()
    (finished.out / "quantize.json").unlink()
    with pytest.raises(Stop):           # stops after the first epoch's checkpoint
        mcunas.quantize(result, progress=stop)
    mcunas.quantize(result)
    assert (finished.out / "model.tflite").read_bytes() == whole


def test_other_settings_in_the_same_folder_are_refused(finished: Result) -> None:
    with pytest.raises(InputError, match="other settings"):
        _search(finished.out, seed=2)


@pytest.mark.parametrize(("task", "method", "listed"), [("nonsense", "diffprune", "detection-64"),
                                                        ("digits", "nonsense", "diffprune, smcp, uniform")])
def test_unknown_names_are_answered_with_what_exists(task: str, method: str, listed: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"unknown .* 'nonsense'; use one of {listed}"):
        mcunas.search(task, BOARD, BUDGET, method=method, out=tmp_path)


def test_a_name_that_is_nearly_right_is_suggested(tmp_path: Path) -> None:
    for asked, said in (({"method": "difprune"}, "method 'difprune'; did you mean 'diffprune'"),
                        ({"start": "residul"}, "starting net 'residul'; did you mean 'residual'"),
                        ({"method": "smcp", "settings": {"varient": "soft"}}, "'varient'; did you mean 'variant'? it has")):
        with pytest.raises(InputError, match=said.replace("?", r"\?")):
            mcunas.search("digits", BOARD, BUDGET, out=tmp_path, **asked)


def test_a_budget_that_no_width_meets_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(DoesNotFit, match="even 4 channels"):
        mcunas.search("digits", BOARD, Budget(ram=600), out=tmp_path)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_folder_without_a_search_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished search"):
        Result.load(tmp_path)
