# SPDX-License-Identifier: Apache-2.0
"""What the detection experiments share: the task, the schedule, searches as rows, fronts and their volume.

detection-64: Fashion-MNIST items on 64x64 canvases. All arms of a seed begin from one parent, whose cost counts in each.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from mcunas import tasks
from mcunas.api import build
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.device.alone import simulated
from mcunas.device.proof import decoder_of, prove
from mcunas.search import search
from mcunas.search.evolved import in_every_stage
from mcunas.space import space as spaces
from mcunas.space.factored import Factored
from mcunas.space.price import Prices
from mcunas.tasks import Schedule
from mcunas.tasks.test_reads import open_test
from tests.bench.kept import TimeUp, row_of
from tests.bench.structure_end import finished

TASK, BOARD, SPACE = "detection-64", "mps2-an386", "boxes"
EVALUATIONS, FINAL_EPOCHS = 45, 8
STEPS_PER_EPOCH, STEPS = 100, 20        # of batches: five candidates are an epoch
STREAMED = 24       # test images whose boxes the board decodes
SETTINGS = {"steps": STEPS, "population": 9, "scored_images": 200}
SAMPLES = 40_000    # draws for volumes; the same ones for every front


def schedule(stages: dict[str, int], evaluations: int, final: bool, quick: bool) -> tuple[Schedule, dict[str, Any]]:
    """(schedule, settings) of a search of so many evaluations, with its end's training or without. stages: epochs of each
    of the parent's."""
    stages = dict.fromkeys(stages, 1) if quick else stages
    steps, count = (10, 4) if quick else (STEPS_PER_EPOCH, evaluations)
    total = sum(stages.values()) + count * (5 if quick else STEPS) // steps
    base = replace(tasks.load(TASK).schedule, prune_epochs=total, qat_epochs=2, batch=32,
                   finetune_epochs=(1 if quick else FINAL_EPOCHS) if final else 0, epoch_samples=32 * steps,
                   measured_images=60 if quick else None)
    small = {"steps": 5, "population": 2, "scored_images": 40} if quick else {}
    return base, {**SETTINGS, **small, **{f"{stage}_share": epochs / total for stage, epochs in stages.items()}}


@cache
def cost_of(factors: tuple, point: tuple) -> tuple[float, float, float]:
    """(cycles, RAM, flash) of the same values in every stage."""
    task = tasks.load(TASK)
    factored = Factored(spaces.load(SPACE, {}, task.input_shape, task.classes), dict(factors))
    cost = Prices(factored.space, Board.load(BOARD), None, simulated).exact(
        factored.genotype(in_every_stage(factored, dict(point))))
    return float(cost.cycles), cost.ram_bytes, cost.flash_bytes


def searched(folder: Path, name: str, seed: int, method: str, settings: dict[str, Any], budget: Budget,
             stages: dict[str, int], evaluations: int, final: bool, quick: bool, stop: Callable[..., None]
             ) -> dict[str, Any] | None:
    """A search, brought to firmware where it is `final`, as a row that is kept; None for one in error, and once time is up
    for one that is not done. stages: see `schedule`."""
    out = folder / f"{name}-{seed}"
    plan, own = schedule(stages, evaluations, final, quick)
    settings = {**own, **settings}

    def run() -> dict[str, Any]:
        stop()
        result = search(TASK, Board.load(BOARD), budget, method, out, seed, start=SPACE, options={}, schedule=plan,
                        settings=settings, progress=stop)
        metrics = result.metrics
        row = {"facts": metrics["facts"], "cost": metrics["cost"], "ledger": metrics["ledger"],
               "genotype": result.genotype.fields()}
        return {**row, **finished(result, out, budget, stop), **_on_board(out)} if final else row

    asked = {"method": method, "settings": {k: v for k, v in settings.items() if k != "parent_from"},
             "schedule": asdict(plan), "budget": asdict(budget)}
    try:
        return row_of(out, asked, run, arm=name, seed=seed, board=BOARD)
    except TimeUp:
        print(f"{out.name}: time is up; start again to go on", flush=True)
        return None


def _on_board(out: Path) -> dict[str, Any]:
    """Test images through a firmware that decodes boxes itself: numbers that differ from the host's, and the metrics."""
    from mcunas.graph import read_tflite

    task = tasks.load(TASK)
    image = build(out / "model.tflite", BOARD, out / "decoding", decoder=decoder_of(read_tflite(out / "model.tflite"), task))
    proof = prove(image, task, open_test(task, out, "board", STREAMED))
    return {"streamed": proof.report.inputs, "board_mismatches": proof.report.mismatches, "board_measures": proof.on_board,
            "host_measures": proof.on_host}


def points(rows: list[dict[str, Any]], limits: tuple[float, ...]) -> np.ndarray:
    """(N, 4): the metric, and 1 - cycles, RAM and flash over their limits, of all candidates of some rows."""
    found = [c for row in rows for c in row["facts"]["candidates"]]
    prices = [[1 - c[k] / limit for k, limit in zip(("cycles", "ram_bytes", "flash_bytes"), limits)] for c in found]
    return np.clip(np.array([[c["accuracy"], *p] for c, p in zip(found, prices)]), 0, 1)


def volume(found: np.ndarray, count: int | None = None) -> float:
    """Share of the unit cube that the points dominate, by draws; of at most `count` of them, taken greedily."""
    draws = np.random.RandomState(0).uniform(size=(SAMPLES, found.shape[1]))
    under = (draws[None] <= found[:, None]).all(2)
    if count is None:
        return float(under.any(0).mean())
    covered = np.zeros(SAMPLES, bool)
    for _ in range(min(count, len(found))):
        covered |= under[int((under & ~covered).sum(1).argmax())]
    return float(covered.mean())


def percent(values: list[float]) -> str:
    return f"{100 * mean(values):.2f}" + (f" ± {100 * stdev(values):.2f}" if len(values) > 1 else "")


def each(values: list[float], scale: float = 100) -> str:
    return " ".join(f"{scale * v:+.2f}" for v in values)
