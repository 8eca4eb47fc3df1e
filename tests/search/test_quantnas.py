# SPDX-License-Identifier: Apache-2.0
"""QuantNAS in small: blocks and bits within the budget, resumed to the same end, deployed at the bits that were chosen."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import mcunas
from mcunas import api, tasks
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.cost import estimate
from mcunas.device.alone import simulated
from mcunas.device.proof import prove
from mcunas.errors import InputError
from mcunas.graph import read_tflite
from mcunas.quantize.choose import Precision
from mcunas.search.nas import finals
from mcunas.search.quantnas import penalty
from mcunas.search.result import Result
from mcunas.space import space as spaces
from mcunas.space.noise import Noise
from mcunas.tasks import Schedule, Split, Task
from mcunas.tasks.augment import Augment
from mcunas.tasks.super_resolution import SuperResolution, halved

SCHEDULE = Schedule(prune_epochs=3, finetune_epochs=2, qat_epochs=1, warmup_epochs=1, batch=16, rate=0.1, epoch_samples=128,
                    measured_images=10)
SPACE = {"options": ["conv3x3", "conv3x3_w4", "ds3", "skip"], "stem": {"kernel": [3, 3], "channels": 16, "stride": [1, 1]},
         "stages": [{"channels": 16, "stride": 1, "slots": 2}]}


class Stop(Exception):
    pass


def pictures() -> Task:
    """Digits of 8x8 that become 16x16."""
    of = tasks.load("digits")
    splits = {name: Split(halved(s.images), s.images.view(np.uint8) ^ 0x80)
              for name in ("train", "validation", "test") for s in [getattr(of, name)[:400]]}
    return replace(of, name=f"{__name__}:pictures", classes=1, **splits, augment=Augment(),
                   objective=SuperResolution((16, 16)))


def search(out: Path, budget: Budget, stop_after: int = 0, method: str = "quantnas", **settings: object) -> Result:
    def progress(phase: str, done: int, total: int, figures: dict) -> None:
        if phase == "search" and done == stop_after:
            raise Stop

    return mcunas.search(f"{__name__}:pictures", Board.load("mps2-an386"), budget, method, out, options=SPACE,
                         schedule=SCHEDULE, settings=settings, progress=progress)


TIGHT = Budget("16 KiB", "12 KiB", "60 ms")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return search(tmp_path_factory.mktemp("whole"), TIGHT)


def test_an_interrupted_search_ends_as_a_whole_one_and_fits(whole: Result, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        search(tmp_path, TIGHT, stop_after=2)
    again = search(tmp_path, TIGHT)
    assert again.genotype == whole.genotype and max(whole.metrics["budget_use"].values()) <= 1
    assert all(torch.equal(a, b) for a, b in zip(again.model.parameters(), whole.model.parameters(), strict=True))
    assert again.metrics["metric"] == "PSNR" and again.metrics["float_accuracy"] == whole.metrics["float_accuracy"] > 5


def test_what_is_deployed_has_the_chosen_bits_the_promised_flash_and_the_hosts_psnr(tmp_path: Path) -> None:
    result = search(tmp_path, Budget("16 KiB", "24 KiB"), method="always", option="conv3x3_w4")
    assert set(result.genotype.choices.values()) == {"conv3x3_w4"}
    model = mcunas.quantize(result)
    assert model.metrics["precision"]["bits"] == {"slots.s0_0.1": 4, "slots.s0_1.1": 4}
    graph = read_tflite(tmp_path / "model.tflite")
    dtypes = [graph.tensors[op.inputs[1]].dtype for op in graph.ops if op.kind == "CONV_2D"]
    assert dtypes == ["int8", "int4", "int4", "int8"] and graph.ops[-1].kind == "DEPTH_TO_SPACE"
    found = estimate(graph, result.board, ram_bytes=result.budget.ram_bytes, simulator=simulated)
    assert found.flash_bytes <= result.cost.flash_bytes and found.ram_bytes <= result.cost.ram_bytes
    task = pictures()
    proof = prove(api.build(tmp_path / "model.tflite", result.board, tmp_path / "firmware"), task, task.test[:6])
    assert proof.report.mismatches == 0 and proof.on_board == proof.on_host and proof.on_host["PSNR"] > 5
    with pytest.raises(InputError, match="has chosen the bits"):
        mcunas.quantize(result, resume=False, precision=Precision("auto", flash_bytes=20_000))


@pytest.mark.parametrize("option", ["conv3x3", "conv3x3_w4"])
def test_a_candidate_with_int4_weights_trains_with_their_noise(option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(Noise, "like", lambda way, x: seen.append(x.shape) or torch.zeros_like(x))
    task = replace(pictures(), validation=pictures().validation[:20])
    genotype = spaces.load("pixels", SPACE, task.input_shape, 1).uniform(option)
    assert finals.trained(task, genotype, replace(SCHEDULE, epoch_samples=16), 0, 1) > 0
    assert bool(seen) == (option == "conv3x3_w4")


def test_the_entropys_weight_is_zero_at_first_and_whole_at_the_end() -> None:
    class Of:
        class run:
            settings = {"entropy": 0.5}

    weights = [penalty(Of, at) for at in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert weights[:2] == [0, 0] and weights == sorted(weights) and weights[-1] == pytest.approx(0.5)


@pytest.mark.parametrize("wrong", [{"by": "dithering"}, {"placebo": "shuffled"}])
def test_a_way_that_is_not_known_is_refused(wrong: dict, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="quantnas has no"):
        search(tmp_path, TIGHT, **wrong)
