# SPDX-License-Identifier: Apache-2.0
"""Experiments that are searches side by side: arms that differ in one thing, each seed of each a folder and a row."""
from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.cost import estimate
from mcunas.device.alone import simulated
from mcunas.graph import read_tflite
from mcunas.search import search
from mcunas.tasks import Schedule
from tests.bench import nas_contest as contest
from tests.bench.kept import ROW, TimeUp, left, row_of
from tests.bench.structure_end import Rows, finished

BOARD = contest.M4


@dataclass(frozen=True)
class Arm:
    """method, start, options, settings: of mcunas.search. goals: for which the row says the RAM, too. note: one line for the
    table."""

    method: str
    start: str
    options: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    budget: Budget = Budget()
    goals: tuple[str, ...] = ("balanced", "ram")
    note: str = ""


def measured(arms: Mapping[str, Arm], schedule: Schedule, folder: Path, seeds: list[int], quick: bool,
             stop: Callable[..., None]) -> Rows:
    """Rows of all arms and seeds that are finished when time is up, or when all are."""
    if quick:
        schedule = replace(schedule, prune_epochs=min(schedule.prune_epochs, 2), finetune_epochs=1, qat_epochs=1,
                           epoch_samples=640, measured_images=100)
    try:
        for seed in seeds:
            for name, arm in arms.items():
                stop()
                started, out = time.process_time(), folder / f"{name}-{seed}"
                row = row_of(out, _asked(arm, schedule), partial(_run, arm, schedule, seed, out, stop), arm=name, seed=seed)
                if row is not None:
                    print(f"{name} {seed}: int8 {row['int8_accuracy']:.4f}, {row['ram_bytes']} B RAM, {row['cycles']} "
                          f"cycles, {row['mismatches']} mismatches, {time.process_time() - started:.0f} s", flush=True)
    except TimeUp:
        print("time is up; start again to go on", flush=True)
    return [row for name, arm in arms.items() for seed in seeds
            for row in left(folder / f"{name}-{seed}", _asked(arm, schedule), ROW)]


def _asked(arm: Arm, schedule: Schedule) -> dict[str, Any]:
    """All that a row depends on but the seed."""
    return {"method": arm.method, "start": arm.start, "options": arm.options, "settings": arm.settings,
            "budget": asdict(arm.budget), "schedule": asdict(schedule),
            "images": [contest.TRAINING_IMAGES, contest.VALIDATION_IMAGES]}


def _run(arm: Arm, schedule: Schedule, seed: int, out: Path, stop: Callable[..., None]) -> dict[str, Any]:
    board = Board.load(BOARD)
    result = search(contest.TASK, board, arm.budget, arm.method, out, seed, start=arm.start, options=arm.options,
                    schedule=schedule, settings=arm.settings, progress=stop)
    row = finished(result, out, arm.budget, stop)
    graph = read_tflite(out / "model.tflite")
    return {**row, "genotype": result.genotype.fields(),
            "ops": [[op.kind, *graph.tensors[op.outputs[0]].shape] for op in graph.ops],
            "ram_by_goal": {goal: estimate(graph, board, goal=goal, simulator=simulated).ram_bytes
                            for goal in arm.goals}}
