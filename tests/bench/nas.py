# SPDX-License-Identifier: Apache-2.0
"""Searches in a space against their baselines: ``python -m tests.bench.nas --paper fbnet``. One file each: nas_*.py.

An experiment is a module with ARMS (name -> Arm) and report(rows, extra) -> (Markdown, {file: SVG}); what is no search it
measures in extra(folder, quick, stop) -> JSON. Each arm x seed is a folder under build/bench-nas/; what is finished is
kept, what was interrupted goes on from its last epoch. Every arm ends as an int8 network that fits the budget exactly and
runs in QEMU against tflite-micro. The report is written after every run: docs/results/nas-<paper>.json, .md, .svg.
"""
from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import mcunas.search
from mcunas.api import build
from mcunas.board import Board
from mcunas.cost import estimate
from mcunas.device import validate
from mcunas.device.alone import simulated
from mcunas.graph import read_tflite
from mcunas.quantize import quantize
from mcunas.space.price import usage
from mcunas.tasks import Schedule
from tests.bench import nas_contest as contest
from tests.bench.kept import FAILED, ROW, TimeUp, deadline, left, row_of, said
from tests.bench.measure import RESULTS, ROOT, environment

FOLDER = ROOT / "build" / "bench-nas"
PAPERS = ("fbnet", "proxyless", "prunet", "padnas", "rarts")
INPUTS = 5          # random ones, in QEMU
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Arm:
    """method, settings: of mcunas.search. changes: of the contest's schedule. note: one line for the table."""

    method: str
    settings: dict[str, Any] = field(default_factory=dict)
    board: str = contest.M4
    changes: dict[str, Any] = field(default_factory=dict)
    note: str = ""


def one(folder: Path, name: str, arm: Arm, seed: int, quick: bool, stop: Any) -> dict[str, Any] | None:
    """Run an arm, or go on with it, or take what it left; None where it ends in an error.

    Raises TimeUp from `stop`, which is called every epoch.
    """
    out = folder / f"{name}-{seed}"
    return row_of(out, asked_of(arm, quick), partial(_run, arm, seed, quick, out, stop), arm=name, seed=seed,
                  board=arm.board)


def asked_of(arm: Arm, quick: bool) -> dict[str, Any]:
    """All that a row depends on but the seed."""
    return {"method": arm.method, "settings": arm.settings, "board": arm.board, "space": contest.SPACE,
            "schedule": asdict(_schedule(arm, quick)), "admitted": contest.ADMITTED, "ram_bytes": contest.RAM_BYTES,
            "images": [contest.TRAINING_IMAGES, contest.VALIDATION_IMAGES]}


def _schedule(arm: Arm, quick: bool) -> Schedule:
    schedule = replace(contest.SEARCH, **arm.changes)
    return replace(schedule, prune_epochs=3, finetune_epochs=1, qat_epochs=1, epoch_samples=640,
                   measured_images=100) if quick else schedule


def _run(arm: Arm, seed: int, quick: bool, out: Path, stop: Any) -> dict[str, Any]:
    board, limits = Board.load(arm.board), contest.budget(arm.board)
    result = mcunas.search.search(contest.TASK, board, limits, arm.method, out, seed, start="images", options=contest.SPACE,
                                  schedule=_schedule(arm, quick), settings=arm.settings, progress=stop)
    model = quantize(result, progress=stop)
    exported = estimate(read_tflite(out / "model.tflite"), board, ram_bytes=limits.ram_bytes, simulator=simulated)
    report = validate(build(out / "model.tflite", board, out / "firmware", budget=limits), n_random=INPUTS)
    metrics, ledger = result.metrics, result.metrics["ledger"]
    return {"choices": result.genotype.choices, "genotype": result.genotype.fields(), "use": metrics["budget_use"],
            "exported_use": usage(exported, limits),
            "latency_us": exported.latency_us, "cycles": exported.cycles,
            "mismatches": report.mismatches, "inputs": report.inputs,
            "measured_ram_bytes": report.measured.ram_bytes, "promised_ram_bytes": exported.ram_bytes,
            "validation_accuracy": metrics["validation_accuracy"], "float_accuracy": metrics["float_accuracy"],
            "int8_accuracy": model.metrics["int8_accuracy"], "test_images": model.metrics["test_images"],
            "samples": ledger["samples"] + model.metrics["ledger"]["samples"], "option_forwards": ledger["option_forwards"],
            "cpu_seconds": {**ledger["cpu_seconds"], "quantize": model.metrics["ledger"]["cpu_seconds"]},
            "facts": metrics["facts"]}


def write(paper: str, module: ModuleType, folder: Path, extra: dict[str, Any], quick: bool) -> None:
    """What the finished runs in `folder` say; a quick one's into `folder` itself."""
    runs = [(folder / f"{name}-{seed}", asked_of(arm, quick)) for name, arm in module.ARMS.items() for seed in range(10)]
    rows, failures = ([r for out, asked in runs for r in left(out, asked, file)] for file in (ROW, FAILED))
    target = folder if quick else RESULTS
    target.mkdir(parents=True, exist_ok=True)
    text, pictures = module.report(rows, extra)
    (target / f"nas-{paper}.md").write_text("\n".join([text, *said(failures), *_not_run(module, rows)]))
    for name, picture in pictures.items():
        (target / name).write_text(picture)
    saved = {"environment": environment(), "rows": rows, "failures": failures, "extra": extra}
    (target / f"nas-{paper}.json").write_text(json.dumps(saved, indent=1) + "\n")


def _not_run(module: ModuleType, rows: list[dict[str, Any]]) -> list[str]:
    """A paragraph on what the table lacks."""
    ran = {(r["arm"], r["seed"]) for r in rows}
    left_out = {name: [s for s in SEEDS if (name, s) not in ran] for name in module.ARMS}
    named = ", ".join(f"{name} (seeds {' '.join(map(str, seeds))})" for name, seeds in left_out.items() if seeds)
    return [f"Not run: {named}.\n"] if named else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paper", required=True, choices=PAPERS)
    parser.add_argument("--arms", nargs="*", metavar="ARM")
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--minutes", type=float, default=1e9, help="stop at the end of the epoch that passes this")
    parser.add_argument("--quick", action="store_true", help="seconds per arm: shows that all of it runs")
    parser.add_argument("--report-only", action="store_true")
    asked = parser.parse_args()
    module, stop = import_module(f"tests.bench.nas_{asked.paper}"), deadline(asked.minutes)
    folder = FOLDER / asked.paper / ("quick" if asked.quick else "full")
    folder.mkdir(parents=True, exist_ok=True)

    extra: dict[str, Any] = {}
    try:
        for seed in [] if asked.report_only else asked.seeds:
            for name in asked.arms or module.ARMS:
                stop()
                started = time.process_time()
                row = one(folder, name, module.ARMS[name], seed, asked.quick, stop)
                if row is not None:
                    print(f"{name} {seed}: int8 {row['int8_accuracy']:.4f} use "
                          f"{ {k: round(v, 3) for k, v in row['exported_use'].items()} } mismatches {row['mismatches']} "
                          f"{time.process_time() - started:.0f} s", flush=True)
                write(asked.paper, module, folder, extra, asked.quick)
        if hasattr(module, "extra"):
            extra = module.extra(folder, asked.quick, stop)
    except TimeUp:
        print("time is up; start again to go on", flush=True)
    write(asked.paper, module, folder, extra, asked.quick)


if __name__ == "__main__":
    main()
