# SPDX-License-Identifier: Apache-2.0
"""LANA (nas-methods.md, paper 5): does the program beat lot, greed, placebo, and a teacher that is only scaled?

One teacher and one library of candidates per seed serve all arms and both budgets, which are shares of the teacher's
modelled cycles. Before fine-tuning arms are compared by loss, after it by int8 accuracy.
"""
from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from scipy.stats import kendalltau
from torch import nn

import mcunas
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.cost import estimate
from mcunas.search.driver import THREADS
from mcunas.search.lana import SETTINGS, library
from mcunas.search.lana.assemble import Assembler
from mcunas.search.lana.program import solve
from mcunas.search.lana.run import LanaRun
from mcunas.search.own import prune
from mcunas.space.genotype import Genotype, keep_model
from mcunas.space.price import graph_of
from mcunas.space.residual import ResidualNet
from mcunas.tasks import Schedule
from mcunas.tasks.training import batches, cosine, steps_per_epoch, train_epoch
from tests.bench import nas_contest as contest
from tests.bench.kept import ROW, TimeUp, left, row_of
from tests.bench.measure import markdown
from tests.bench.nas_report import beats, both, of, percent, say
from tests.bench.structure_end import Rows, finished, gates
from tests.bench.structure_picture import dots
from tests.search.lana_programs import like_cells

BOARD = "mps2-an386"
SHARES = (0.5, 0.25)        # of the teacher's latency
WIDTHS, STRIDES = (16, 16, 24, 24, 40, 40), (2, 1, 2, 1, 2, 1)
TEACHER_EPOCHS = 10
SCHEDULE = Schedule(prune_epochs=0, finetune_epochs=10, qat_epochs=2, warmup_epochs=1, batch=64, rate=0.05,
                    epoch_samples=6_000)
TUNED = 0.3 * SCHEDULE.rate     # what lana fine-tunes with, for the scaled teacher too
LANA = {"blocks": ["conv3x3", "ds3", "ds5", "mb3_e2", "mb3_e3", "ghost", "conv1x1", "skip"], "epochs": 1}
QUICK = {"blocks": ["conv3x3", "ds3", "mb3_e2"], "score_images": 192, "judged_images": 192, "solutions": 3}


@dataclass(frozen=True)
class Arm:
    """settings: of lana; None = the teacher by one width multiplier. is_deployed: or only assembled."""

    settings: dict[str, Any] | None = field(default_factory=dict)
    is_deployed: bool = True
    shares: tuple[float, ...] = SHARES
    note: str = ""


ARMS = {
    "teacher": Arm(None, shares=(1.0,), note="as it is, fine-tuned alike"),
    "scaled": Arm(None, note="the teacher by one width multiplier, fine-tuned alike"),
    "lana": Arm(note="scored around the teacher and half-way, best of 8 solutions of each"),
    "lot": Arm({"choice": "lot"}, note="best of 8 random choices that use 0.85 to 1 of the budget"),
    "straight": Arm({"rounds": 1}, False, note="scores around the teacher only"),
    "greed": Arm({"choice": "greed"}, False, note="exchanges by loss per excess"),
    "placebo": Arm({"choice": "placebo"}, False, note="the program, scores shuffled within each cell"),
}
DEPLOYED = [name for name, arm in ARMS.items() if arm.is_deployed]
ASSEMBLED = [name for name, arm in ARMS.items() if arm.settings is not None]


def teacher(folder: Path, seed: int, quick: bool, stop: Callable[..., None]) -> nn.Module:
    """Trained once per seed, and kept."""
    path, task = folder / f"teacher-{seed}.pt", contest.fashion_mnist().sealed()
    torch.set_num_threads(THREADS)
    torch.manual_seed(seed)
    net = _net()
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


def _net() -> nn.Module:
    return ResidualNet(1, 10, WIDTHS, STRIDES, size=(28, 28))


def _schedule(quick: bool) -> Schedule:
    return replace(SCHEDULE, finetune_epochs=1, qat_epochs=1, epoch_samples=640, measured_images=100) if quick else SCHEDULE


@cache
def _dense_latency_us() -> float:
    return estimate(graph_of(_net(), (28, 28), 1), Board.load(BOARD), rewrite=False).latency_us


def measure(folder: Path, seeds: list[int], quick: bool, stop: Callable[..., None]) -> dict[str, Any]:
    """{"rows": one per deployed arm, budget and seed, "assembled": of all of lana's, before fine-tuning, "programs": CPU
    seconds of each}. What is finished is kept."""
    runs = [(seed, share, name) for seed in seeds for name, arm in ARMS.items() for share in arm.shares]
    try:
        for seed, share, name in sorted(runs, key=lambda r: (r[0], -r[1])):
            stop()
            started, out = time.process_time(), folder / f"{name}-{share:g}-{seed}"
            net = teacher(folder, seed, quick, stop)
            row = row_of(out, _asked(name, quick), partial(_run, net, ARMS[name], share, seed, out, quick, stop), arm=name,
                         share=share, seed=seed)
            if row is not None:
                shown = {k: round(row[k], 4) for k in ("int8_accuracy", "loss", "cycles", "mismatches") if k in row}
                print(f"{out.name}: {shown}, {time.process_time() - started:.0f} s", flush=True)
    except TimeUp:
        print("time is up; start again to go on", flush=True)
    rows = [row for seed, share, name in runs
            for row in left(folder / f"{name}-{share:g}-{seed}", _asked(name, quick), ROW)]
    return {"rows": [r for r in rows if ARMS[r["arm"]].is_deployed], "assembled": [r for r in rows if "loss" in r],
            "programs": programs(1 if quick else 4)}


def _asked(name: str, quick: bool) -> dict[str, Any]:
    return {"settings": _settings(ARMS[name], quick), "schedule": asdict(_schedule(quick)), "widths": WIDTHS,
            "teacher": TEACHER_EPOCHS, "images": [contest.TRAINING_IMAGES, contest.VALIDATION_IMAGES]}


def _settings(arm: Arm, quick: bool) -> dict[str, Any] | None:
    return None if arm.settings is None else {**LANA, **(QUICK if quick else {}), **arm.settings}


def _run(net: nn.Module, arm: Arm, share: float, seed: int, out: Path, quick: bool,
         stop: Callable[..., None]) -> dict[str, Any]:
    task, board, schedule = contest.fashion_mnist(), Board.load(BOARD), _schedule(quick)
    budget = Budget(latency=share * _dense_latency_us() if share < 1 else None)
    if arm.settings is None:        # one epoch more for the teacher, so that it may teach
        result = prune(net, task, board, budget, "uniform", out, seed, progress=stop,
                       schedule=replace(schedule, rate=TUNED, teacher_epochs=1))
        return finished(result, out, budget, stop)
    settings = {**_settings(arm, quick), "library": str(out.parent / f"library-{seed}")}
    if not arm.is_deployed:
        return _assembled(_proposed(net, budget.for_board(board), seed, out, schedule, settings))
    result = mcunas.accelerate(net, task, board, budget, out, seed, schedule=schedule, settings=settings, progress=stop)
    return {**finished(result, out, budget, stop), **_assembled(result.metrics["facts"])}


def _proposed(net: nn.Module, budget: Budget, seed: int, out: Path, schedule: Schedule,
              settings: dict[str, Any]) -> dict[str, Any]:
    """How a choice is made, without the fine-tuning."""
    task = contest.fashion_mnist()
    start = Genotype(keep_model(net), {}, task.input_shape, task.classes)
    run = LanaRun(task.sealed(), Board.load(BOARD), budget, start, schedule, seed, out, None, {**SETTINGS, **settings})
    return Assembler(run, library.trained(run, None)).choose()[1]


def _assembled(facts: dict[str, Any]) -> dict[str, Any]:
    """loss: of the choice that is kept, on training images. tau: Kendall's, of added scores against losses."""
    is_enough = len(facts["losses"]) > 3
    return {"loss": min(facts["losses"]), "teacher_loss": facts["teacher_loss"],
            "choice_seconds": facts["choice_seconds"],
            "tau": float(kendalltau(facts["additive"], facts["losses"]).statistic) if is_enough else None}


def programs(count: int) -> list[list[float]]:
    """CPU seconds of each of eight solutions that differ, for programs of 20 cells with 40 options."""
    spent = []
    for seed in range(count):
        program, seconds = like_cells(seed, cycles=SHARES[seed % 2]), []
        for _ in range(SETTINGS["solutions"]):
            started = time.process_time()
            chosen = solve(program)
            seconds.append(time.process_time() - started)
            program = program.unlike(chosen, int(SETTINGS["overlap"] * len(program.scores)))
        spent.append(seconds)
    return spent


def report(found: dict[str, Any]) -> tuple[str, dict[str, bytes]]:
    rows, assembled = found["rows"], found["assembled"]
    text = ["# LANA: a trained network's cells exchanged by an integer program\n",
            f"Teacher: ResidualNet of widths {', '.join(map(str, WIDTHS))} on Fashion-MNIST "
            f"({contest.TRAINING_IMAGES:,} training images, all 10,000 test images). Budget: a share of its modelled cycles "
            f"on {BOARD}. Every arm: {SCHEDULE.finetune_epochs} epochs of fine-tuning of {SCHEDULE.epoch_samples:,} samples "
            "on labels and the teacher's answers, quantized alike, and run in QEMU on random inputs.\n"]
    for share in (1.0, *SHARES):
        own = [r for r in rows if r["share"] == share]
        lines = [[name, percent(part), " ".join(f"{100 * r['int8_accuracy']:.2f}" for r in part),
                  f"{mean(r['cycles'] for r in part):,.0f}", f"{max(r['ram_bytes'] for r in part):,}",
                  f"{max(r['flash_bytes'] for r in part):,}", f"{max(max(r['exported_use'].values()) for r in part):.3f}",
                  round(mean(sum(r["cpu_seconds"].values()) for r in part)), ARMS[name].note]
                 for name in DEPLOYED if (part := of(own, name))]
        head = ["arm", "int8 %", "per seed", "cycles, mean", "RAM B", "flash B", "largest use", "CPU s", "what it is"]
        text += ["## The teacher\n" if share == 1 else f"## {1 / share:g} times fewer cycles\n", markdown(head, lines)]
    text += [_losses(assembled), "## Expectations\n",
             "\n".join([*gates(rows), *_expected(rows, assembled, found["programs"])]) + "\n"]
    text.append("![int8 accuracy](structure-lana.png)\n")
    points = {f"{name} {share:g}": [100 * r["int8_accuracy"] for r in rows if (r["arm"], r["share"]) == (name, share)]
              for share in (1.0, *SHARES) for name in DEPLOYED}
    return "\n".join(text), {"structure-lana.png": dots({n: p for n, p in points.items() if p}, "int8 test accuracy, %")}


def _losses(rows: Rows) -> str:
    """Ways of choosing, from the same candidates, before any fine-tuning."""
    lines = []
    for name in ASSEMBLED:
        parts = [[r for r in of(rows, name) if r["share"] == share] for share in SHARES]
        if all(parts):
            cells = [f"{mean(r['loss'] for r in part):.3f} ({' '.join(format(r['loss'], '.3f') for r in part)})"
                     for part in parts]
            taus = [r["tau"] for part in parts for r in part if r["tau"] is not None]
            lines.append([name, *cells, f"{mean(taus):.2f}" if taus else "–", ARMS[name].note])
    head = ["way of choosing", *(f"loss at {share:g}" for share in SHARES), "tau", "what it is"]
    return ("## Before any fine-tuning\n\nLoss on training images of the choice that is kept, mean and per seed. Tau: "
            "Kendall's, of added scores against losses, over the choices that were assembled.\n\n" + markdown(head, lines))


def _expected(rows: Rows, assembled: Rows, seconds: list[list[float]]) -> list[str]:
    most, count = max(map(max, seconds)), sum(map(len, seconds))
    said = [say(f"a program of 20 cells with 40 options takes {most:.2f} CPU s at most (< 5 s; of {count}, alone and with "
                f"cuts between solutions; {SETTINGS['solutions']} of them {mean(map(sum, seconds)):.1f} s)", most < 5)]
    for share in SHARES:
        own = [r for r in assembled if r["share"] == share]
        for other in ("lot", "greed", "placebo", "straight"):
            a, b = both(own, "lana", other)
            if a:
                mine, theirs = (mean(r["loss"] for r in part) for part in (a, b))
                said.append(say(f"at {share:g} the loss before fine-tuning is not above {other}'s: {mine:.3f} against "
                                f"{theirs:.3f}", mine <= theirs))
        own = [r for r in rows if r["share"] == share]
        for other in ("lot", "scaled"):
            said += [f"{line} at {share:g}" for line in beats(own, "lana", other)]
        a, b = both([*own, *of(rows, "teacher")], "lana", "teacher")
        if a:
            lost = [100 * (y["int8_accuracy"] - x["int8_accuracy"]) for x, y in zip(a, b)]
            ratio = mean(y["cycles"] / x["cycles"] for x, y in zip(a, b))
            words = (f"{ratio:.2f} times fewer cycles than the teacher cost {mean(lost):.2f} points of int8 accuracy "
                     f"(by seed: {' '.join(format(v, '.2f') for v in lost)})")
            is_target = share == max(SHARES)
            said.append(say(f"{words}; at most 0.5 for twice fewer", ratio >= 2 and mean(lost) <= 0.5) if is_target
                        else f"- {words}")
    return said
