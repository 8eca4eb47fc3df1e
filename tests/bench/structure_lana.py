# SPDX-License-Identifier: Apache-2.0
"""LANA (nas-methods.md, paper 5): does the program beat lot, greed, placebo, and a teacher that is only scaled?

One teacher and one library of candidates per seed serve all arms and both budgets, which are shares of the teacher's
modelled cycles. Before fine-tuning arms are compared by loss, after it by int8 accuracy.
"""
from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau
from torch import nn

import mcunas
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.cost import estimate
from mcunas.errors import McunasError
from mcunas.search.lana.program import Program, Row, solve
from mcunas.search.own import prune
from mcunas.space.price import graph_of
from mcunas.space.residual import ResidualNet
from mcunas.tasks import Schedule
from mcunas.tasks.test_reads import open_test
from mcunas.tasks.training import accuracy, batches, cosine, steps_per_epoch, train_epoch
from tests.bench import nas_contest as contest
from tests.bench.kept import TimeUp
from tests.bench.measure import markdown
from tests.bench.nas_report import of, percent, say
from tests.bench.structure_end import Rows, finished, gates, row_of
from tests.bench.structure_picture import dots

BOARD = "mps2-an386"
SHARES = (0.5, 0.25)        # of the teacher's latency
WIDTHS = (16, 32, 48)
TEACHER_EPOCHS = 16
SCHEDULE = Schedule(prune_epochs=0, finetune_epochs=6, qat_epochs=2, warmup_epochs=1, batch=64, rate=0.05,
                    epoch_samples=6_000)
TUNED = 0.3 * SCHEDULE.rate     # what lana fine-tunes with, for the scaled teacher too


@dataclass(frozen=True)
class Arm:
    """settings: of lana; None = the teacher, scaled by one width multiplier."""

    settings: dict[str, Any] | None = field(default_factory=dict)
    note: str = ""


ARMS = {
    "lana": Arm(note="scored again half-way, 8 solutions"),
    "straight": Arm({"rounds": 1}, "scores around the teacher only"),
    "lot": Arm({"choice": "lot"}, "best of 8 random choices that use 0.85 to 1 of the budget"),
    "greed": Arm({"choice": "greed"}, "exchanges by loss per excess"),
    "placebo": Arm({"choice": "placebo"}, "the program, scores shuffled within each cell"),
    "scaled": Arm(None, "the teacher by one width multiplier, fine-tuned alike, without its answers"),
}


def teacher(folder: Path, seed: int, quick: bool, stop: Callable[..., None]) -> nn.Module:
    """Trained once per seed, and kept."""
    path, task = folder / f"teacher-{seed}.pt", contest.fashion_mnist().sealed()
    torch.manual_seed(seed)
    net = ResidualNet(1, 10, WIDTHS)
    if not path.exists():
        schedule = _schedule(quick)
        optimizer = torch.optim.SGD(net.parameters(), lr=schedule.rate, momentum=0.9, nesterov=True, weight_decay=5e-4)
        steps, epochs = steps_per_epoch(task, schedule), 1 if quick else TEACHER_EPOCHS
        for epoch in range(epochs):
            stop()
            train_epoch(net, optimizer, batches(task, schedule, seed, epoch),
                        lambda step, epoch=epoch: cosine((epoch + step / steps) / epochs, schedule.rate))
        torch.save(net.state_dict(), path)
    net.load_state_dict(torch.load(path, weights_only=True))
    return net.eval()


def _schedule(quick: bool) -> Schedule:
    return replace(SCHEDULE, finetune_epochs=1, qat_epochs=1, epoch_samples=640, measured_images=100) if quick else SCHEDULE


@cache
def _dense_latency_us() -> float:
    return estimate(graph_of(ResidualNet(1, 10, WIDTHS), (28, 28), 1), Board.load(BOARD), rewrite=False).latency_us


def measure(folder: Path, seeds: list[int], quick: bool, stop: Callable[..., None]) -> dict[str, Any]:
    """{"rows": one per arm, budget and seed, "programs": CPU seconds of each}. What is finished is kept."""
    try:
        for seed in seeds:
            net = teacher(folder, seed, quick, stop)
            for share, name in product(SHARES, ARMS):
                stop()
                started, out = time.process_time(), folder / f"{name}-{share:g}-{seed}"
                try:
                    row = row_of(out, partial(_run, net, ARMS[name], share, seed, out, quick, stop), arm=name, share=share,
                                 seed=seed)
                except McunasError as error:
                    print(f"{name} {share:g} {seed}: {error}", flush=True)
                    continue
                print(f"{name} {share:g} {seed}: int8 {row['int8_accuracy']:.4f}, loss before {row['assembled_loss']}, "
                      f"{row['cycles']} cycles, {row['mismatches']} mismatches, {time.process_time() - started:.0f} s",
                      flush=True)
    except TimeUp:
        print("time is up; start again to go on", flush=True)
    rows = [json.loads(path.read_text()) for path in sorted(folder.glob("*/row.json"))]
    return {"rows": [r for r in rows if r["seed"] in seeds], "programs": programs(1 if quick else 5)}


def _run(net: nn.Module, arm: Arm, share: float, seed: int, out: Path, quick: bool,
         stop: Callable[..., None]) -> dict[str, Any]:
    task, board, schedule = contest.fashion_mnist(), Board.load(BOARD), _schedule(quick)
    budget = Budget(latency=share * _dense_latency_us())
    if arm.settings is None:
        result = prune(net, task, board, budget, "uniform", out, seed, progress=stop,
                       schedule=replace(schedule, rate=TUNED, teacher_epochs=0))
    else:
        settings = {**arm.settings, "library": str(out.parent / f"library-{seed}"), **(_QUICK if quick else {})}
        result = mcunas.accelerate(net, task, board, budget, out, seed, schedule=schedule, settings=settings, progress=stop)
    found = finished(result, out, budget, stop)
    facts = found["facts"]
    return {**found, "teacher_test": _tested(net, out.parent, seed), "tau": _tau(facts),
            "assembled_loss": min(facts["losses"]) if "losses" in facts else None}


def _tested(net: nn.Module, folder: Path, seed: int) -> float:
    """The teacher's accuracy on the test split, which is read once per seed."""
    path, task = folder / f"teacher-{seed}.json", contest.fashion_mnist()
    if not path.exists():
        path.write_text(json.dumps(accuracy(net, task, open_test(task, folder / f"teacher-{seed}", "float"))))
    return json.loads(path.read_text())


_QUICK = {"epochs": 1, "blocks": ["conv3x3", "ds3", "mb3_e2"], "score_images": 192, "judged_images": 192, "solutions": 3}


def _tau(facts: dict[str, Any]) -> float | None:
    """Kendall's of added scores against true losses, over the choices that were assembled."""
    if len(facts.get("losses", ())) < 4:
        return None
    return float(kendalltau(facts["additive"], facts["losses"]).statistic)


def programs(count: int) -> list[float]:
    """CPU seconds for programs of 20 cells with 40 options, two rows and 20 charges for code."""
    spent = []
    for seed in range(count):
        random = np.random.default_rng(seed)
        scores = tuple(random.random(40) for _ in range(20))
        costs = [tuple(random.integers(1, 100, 40).astype(float) for _ in range(20)) for _ in range(2)]
        charges = tuple((float(random.integers(20, 80)), tuple(random.random(40) < 0.3 for _ in range(20)))
                        for _ in range(20))
        rows = (Row(costs[0], 500.0), Row(costs[1], 1200.0, charges))
        started = time.process_time()
        assert solve(Program(scores, rows)) is not None
        spent.append(time.process_time() - started)
    return spent


def report(found: dict[str, Any]) -> tuple[str, dict[str, bytes]]:
    rows: Rows = found["rows"]
    text = ["# LANA: a trained network's cells exchanged by an integer program\n",
            f"Teacher: ResidualNet {WIDTHS} on Fashion-MNIST ({contest.TRAINING_IMAGES:,} training images), "
            f"{100 * mean(r['teacher_test'] for r in rows):.2f} % on the test split. Budget: a share of its modelled cycles "
            f"on {BOARD}. Loss: on training images, before any fine-tuning, of the choice that was kept.\n"]
    for share in SHARES:
        own = [r for r in rows if r["share"] == share]
        lines = [[name, "–" if name == "scaled" else f"{mean(r['assembled_loss'] for r in part):.3f}", percent(part),
                  " ".join(f"{100 * r['int8_accuracy']:.2f}" for r in part),
                  f"{max(max(r['exported_use'].values()) for r in part):.3f}", ARMS[name].note]
                 for name in ARMS if (part := of(own, name))]
        text += [f"## {1 / share:g} times fewer cycles\n",
                 markdown(["arm", "loss before", "int8 %", "per seed", "largest use", "what it is"], lines)]
    text += ["## Expectations\n", "\n".join([*gates(rows), *_expected(rows, found["programs"])]) + "\n"]
    text.append("![int8 accuracy](structure-lana.png)\n")
    points = {f"{name} {share:g}": [100 * r["int8_accuracy"] for r in rows if (r["arm"], r["share"]) == (name, share)]
              for share in SHARES for name in ARMS}
    return "\n".join(text), {"structure-lana.png": dots({n: p for n, p in points.items() if p}, "int8 test accuracy, %")}


def _expected(rows: Rows, seconds: list[float]) -> list[str]:
    said = [say(f"a program of 20 cells with 40 options takes {max(seconds):.2f} CPU s at most (< 5 s)", max(seconds) < 5)]
    for share in SHARES:
        own = {name: [r for r in rows if r["share"] == share and r["arm"] == name] for name in ARMS}
        if not all(own.values()):
            continue
        for other in ("straight", "lot", "greed", "placebo"):
            a, b = (mean(r["assembled_loss"] for r in own[n]) for n in ("lana", other))
            said.append(say(f"at {share:g} the loss before fine-tuning is below {other}'s: {a:.3f} against {b:.3f}", a < b))
        for other in ("lot", "scaled"):
            a, b = (mean(100 * r["int8_accuracy"] for r in own[n]) for n in ("lana", other))
            said.append(say(f"at {share:g} int8 accuracy is above that of {other}: {a:.2f} against {b:.2f} %", a > b))
        taus = [r["tau"] for r in own["lot"] if r["tau"] is not None]
        if taus:
            said.append(f"- at {share:g}, Kendall's tau of added scores with losses, over choices by lot: {mean(taus):.2f}")
        lost = mean(100 * (r["teacher_test"] - r["float_accuracy"]) for r in own["lana"])
        said.append(say(f"{1 / share:g} times fewer cycles cost {lost:.2f} points of float accuracy (<= 0.5)", lost <= 0.5))
    return said
