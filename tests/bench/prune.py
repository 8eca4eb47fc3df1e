# SPDX-License-Identifier: Apache-2.0
"""Pruning methods at equal exact budgets (A18), and SMCP's variants (A16): ``python -m tests.bench.prune``.

Each contest x arm x seed is a folder under build/bench-prune/; what is finished is kept, what was interrupted goes on from
its last epoch. Budgets are checked on the exported int8 model. Every run's test split is read once per stage. CPU seconds
are process time on one thread. The report is written after every run.
"""
from __future__ import annotations

import argparse
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import mcunas.search
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.cost import estimate
from mcunas.errors import InputError
from mcunas.graph import read_tflite
from tests.bench.kept import TimeUp, deadline, row_of
from tests.bench.measure import ROOT
from tests.bench.prune_arms import A16, A18, ARMS, BOARD, CONTESTS, Arm, Contest, asked_of, schedule_of
from tests.bench.prune_report import report

FOLDER = ROOT / "build" / "bench-prune"


PEERS = {"torch-pruning": "tests.bench.torch_pruning_arm", "plinio-pit": "tests.bench.plinio_arm"}


def one(contest: str, name: str, seed: int, quick: bool, stop: Any) -> dict[str, Any] | None:
    """Run an arm, or go on with it, or take what it left; None where it ends in an error.

    Raises TimeUp from `stop`, which is called every epoch.
    """
    asked, arm = CONTESTS[contest], ARMS[name]
    out = FOLDER / ("quick" if quick else "full") / contest / f"{name}-{seed}"
    return row_of(out, asked_of(contest, name, quick), partial(_run, asked, arm, seed, quick, out, stop), contest=contest,
                  arm=name, seed=seed)


def _run(asked: Contest, arm: Arm, seed: int, quick: bool, out: Path, stop: Any) -> dict[str, Any]:
    schedule, settings = schedule_of(asked, arm, quick), dict(arm.settings)
    if arm.after:
        source = out.parent / f"{arm.after}-{seed}" / "genotype.json"
        if not source.exists():
            raise InputError(f"{arm.after} has not found its widths", fix=f"run the arm {arm.after} too")
        settings["widths"] = json.loads(source.read_text())["widths"]
    board, budget = Board.load(BOARD), asked.budget if arm.budgeted else Budget()
    result = mcunas.search.search(asked.task, board, budget, arm.method, out, seed, start=asked.start,
                                  options=asked.options, schedule=schedule, settings=settings, progress=stop)
    metrics = result.metrics
    row = {"widths": metrics["widths"], "use": metrics["budget_use"], "dense_over_budget": metrics["dense_over_budget"],
           "float_accuracy": metrics["float_accuracy"], "validation_accuracy": metrics["validation_accuracy"],
           "test_images": metrics["test_images"], "samples": metrics["ledger"]["samples"],
           "cpu_seconds": metrics["ledger"]["cpu_seconds"], "facts": metrics["facts"]}
    if not arm.budgeted:
        return row
    from mcunas.quantize import quantize

    model = quantize(result, progress=stop)
    limits = budget.for_board(board)
    cost = estimate(read_tflite(out / "model.tflite"), board, ram_bytes=limits.ram_bytes)
    exported = {"ram": cost.ram_bytes / limits.ram_bytes, "flash": cost.flash_bytes / limits.flash_bytes,
                "latency": cost.latency_us / limits.latency_us}
    return {**row, "int8_accuracy": model.metrics["int8_accuracy"], "int8_images": model.metrics["test_images"],
            "exported_use": exported, "samples": row["samples"] + model.metrics["ledger"]["samples"],
            "cpu_seconds": {**row["cpu_seconds"], "quantize": model.metrics["ledger"]["cpu_seconds"]}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="*", default=list(CONTESTS), choices=list(CONTESTS), metavar="CONTEST")
    parser.add_argument("--arms", nargs="*", choices=list(ARMS), metavar="ARM")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=1e9, help="stop at the end of the epoch that passes this")
    parser.add_argument("--quick", action="store_true", help="seconds per arm: shows that all of it runs")
    parser.add_argument("--report-only", action="store_true")
    asked = parser.parse_args()
    mcunas.search.METHODS |= PEERS
    stop = deadline(asked.minutes)

    folder = FOLDER / ("quick" if asked.quick else "full")
    try:
        for seed in [] if asked.report_only else asked.seeds:
            for contest in asked.tasks:
                for name in asked.arms or (A16 if contest.endswith("A16") else A18):
                    stop()
                    started = time.process_time()
                    row = one(contest, name, seed, asked.quick, stop)
                    if row is None:
                        continue
                    print(f"{contest} {name} {seed}: float {row['float_accuracy']:.4f} int8 "
                          f"{row.get('int8_accuracy', float('nan')):.4f} use "
                          f"{ {k: round(v, 3) for k, v in row.get('exported_use', row['use']).items()} } "
                          f"{time.process_time() - started:.0f} s", flush=True)
                    report(folder, is_quick=asked.quick)
    except TimeUp:
        print("time is up; start again to go on", flush=True)
    report(folder, is_quick=asked.quick)


if __name__ == "__main__":
    main()
