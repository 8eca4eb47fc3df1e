# SPDX-License-Identifier: Apache-2.0
"""nsga2 and adapt with next to no training: candidates inherit, budgets hold, and the end runs as validated firmware."""
from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import mcunas
from mcunas import api, tasks
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.device.proof import DECODER_BYTES, decoder_of, for_model, prove
from mcunas.errors import InputError
from mcunas.quantize import quantize
from mcunas.search.asktell.evaluate import ByTraining
from mcunas.search.asktell.fidelity import Fidelity
from mcunas.search.result import Result
from mcunas.search.state import Progress
from mcunas.space import space as spaces
from mcunas.tasks import Schedule, Task

BOARD = Board.load("mps2-an386")
SHORT = Schedule(prune_epochs=2, finetune_epochs=1, qat_epochs=1, warmup_epochs=1, batch=16, rate=0.05, epoch_samples=64,
                 measured_images=4)
SMALL = {"steps": 1, "population": 2, "scored_images": 20, "parent_share": 0.5,
         "factors": {"op": ["mb2", "mb3"], "width": [0.5, 0.75, 1.0], "layers": [1, 2, 3]}}
SPACE = {"stem": {"kernel": [3, 3], "channels": 4, "stride": [2, 2]},
         "stages": [{"channels": 4, "stride": 2, "slots": 1}, {"channels": 8, "stride": 2, "slots": 3}]}


def scenes() -> Task:
    """Digits on canvases, fewer of them than the real task has."""
    task = tasks.load("detection-digits-64")
    return dataclasses.replace(task, train=task.train[:200], validation=task.validation[:20], test=task.test[:8])


def _search(out: Path, method: str, progress: Progress | None = None, **settings) -> Result:
    return mcunas.search(f"{__name__}:scenes", BOARD, Budget(), method=method, out=out, seed=1, schedule=SHORT,
                         options=SPACE, settings={**SMALL, **settings}, progress=progress)


@pytest.mark.parametrize("method", ["nsga2", "adapt"])
def test_what_is_found_ends_as_firmware_that_sees_what_the_host_sees(method: str, tmp_path: Path) -> None:
    result, task = _search(tmp_path, method), scenes()
    again = _search(tmp_path, method)           # a finished search is taken as it is
    assert again.genotype == result.genotype and "candidates" in result.metrics["facts"]
    model = quantize(result)
    image = api.build(tmp_path / "model.tflite", BOARD, tmp_path / "firmware", decoder=decoder_of(model.graph, task))
    plain = api.build(tmp_path / "model.tflite", BOARD, tmp_path / "plain")
    assert 0 < image.manifest["build"]["flash_bytes"] - plain.manifest["build"]["flash_bytes"] <= DECODER_BYTES
    proof = prove(image, task, task.test[:4])
    assert proof.report.passed and proof.on_board == proof.on_host == model.metrics["int8_measures"]


def test_a_decoder_takes_its_part_of_the_flash_before_the_model_does() -> None:
    assert for_model(Budget(flash="24 KiB"), BOARD, scenes()) == Budget(BOARD.ram_bytes, 24 * 1024 - DECODER_BYTES)
    assert for_model(Budget(flash=100), BOARD, scenes()).flash_bytes == 1
    assert for_model(Budget(), BOARD, tasks.load("digits")) == Budget()


def test_a_board_is_judged_by_the_measure_of_the_task() -> None:
    task = scenes()
    net = spaces.load(spaces.space_for(task.input_shape, head="boxes"), {**SPACE, "options": ["ds3"]}, task.input_shape,
                      task.classes).uniform("ds3")
    integer, board = (ByTraining(task, SHORT, board=BOARD)(net, Fidelity(kind, 1, 4), 0) for kind in ("int8", "board"))
    assert board["accuracy"] == integer["accuracy"] and board["mismatches"] == 0


def test_adapted_networks_take_no_more_than_the_original(tmp_path: Path) -> None:
    facts = _search(tmp_path, "adapt", sampler="random").metrics["facts"]
    assert all(c["cycles"] <= facts["original"]["cycles"] and c["ram_bytes"] <= facts["original"]["ram_bytes"]
               for c in facts["candidates"])
    assert facts["trials"] == len(facts["candidates"]) == facts["evaluations"]       # no trial for what does not fit


def test_candidates_of_another_search_begin_from_the_same_weights(tmp_path: Path) -> None:
    first = _search(tmp_path / "a", "adapt")
    again = _search(tmp_path / "b", "adapt", parent_from=str(tmp_path / "a"))
    for stage in ("parent", "warmed"):
        assert (tmp_path / "a" / f"{stage}.pt").read_bytes() == (tmp_path / "b" / f"{stage}.pt").read_bytes()
        assert again.metrics["ledger"]["cpu_seconds"][stage] == first.metrics["ledger"]["cpu_seconds"][stage]
    assert again.metrics["facts"]["candidates"][0]["accuracy"] == first.metrics["facts"]["candidates"][0]["accuracy"]
    with pytest.raises(InputError, match="it is the parent of another search"):
        _search(tmp_path / "c", "adapt", parent_from=str(tmp_path / "a"), parent_share=1.0)


def test_the_original_and_the_scaled_parent_begin_from_the_parent(tmp_path: Path) -> None:
    original = _search(tmp_path / "a", "adapt", sampler="original")
    scaled = _search(tmp_path / "b", "nsga2", sampler="scaled")
    assert original.genotype.choices["s1_2"] == "skip" and "candidates" not in original.metrics["facts"]
    assert set(scaled.genotype.widths) == {"s0", "s1"} and scaled.genotype.widths["s1"] > 8


def test_unknown_settings_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no mapping 'guess'"):
        _search(tmp_path, "nsga2", mapping="guess")
    with pytest.raises(InputError, match="there is no sampler 'scaled'; use one of nsga2, random, tpe, original"):
        _search(tmp_path, "adapt", sampler="scaled")
    with pytest.raises(InputError, match="adapt needs a task that shows the items of another one"):
        mcunas.search("digits", BOARD, Budget(), method="adapt", out=tmp_path, schedule=SHORT, settings=SMALL)


def test_finalists_train_longer_and_the_best_of_them_is_taken(tmp_path: Path) -> None:
    result = _search(tmp_path, "adapt", sampler="random", finalists=2, longer=3, steps=1)
    facts = result.metrics["facts"]
    first = sorted((c["accuracy"] for c in facts["candidates"]), reverse=True)
    keys = {c["key"]: c["accuracy"] for c in facts["candidates"]}
    assert sorted((keys[f["key"]] for f in facts["finalists"]), reverse=True) == first[:2]
    assert result.genotype.key == max(facts["finalists"], key=lambda f: f["validation"])["key"]


def test_a_search_that_is_stopped_among_its_finalists_pays_for_its_candidates_once(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(phase: str, done: int, total: int, figures: dict) -> None:
        if (phase, done) == ("finals", 2):
            raise Stop

    asked = {"sampler": "random", "finalists": 2, "longer": 1, "steps": 1}
    with pytest.raises(Stop):
        _search(tmp_path / "a", "nsga2", progress=stop, **asked)
    again, whole = _search(tmp_path / "a", "nsga2", **asked), _search(tmp_path / "b", "nsga2", **asked)
    assert again.genotype == whole.genotype
    assert again.metrics["ledger"]["samples"] == whole.metrics["ledger"]["samples"]
