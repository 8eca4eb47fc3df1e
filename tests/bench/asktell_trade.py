# SPDX-License-Identifier: Apache-2.0
"""TRADE (nas-methods.md, paper 20): the trust region on the table, beside the same model on the whole space and draws by
lot; and students beside one made by hand that defines their budget, all taught by one teacher.
"""
from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import optuna
from scipy.stats import wilcoxon

from mcunas.atomic import write_file
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.device.alone import simulated
from mcunas.search import search
from mcunas.search.asktell.trust import TrustRegionSampler
from mcunas.space import space as spaces
from mcunas.space.factored import FAMILIES, Factored
from mcunas.space.price import Prices
from mcunas.tasks import Schedule, Task
from tests.bench import asktell_oracle as oracle
from tests.bench import asktell_table as table
from tests.bench import nas_contest as contest
from tests.bench.asktell_picture import curves
from tests.bench.kept import row_of
from tests.bench.measure import markdown
from tests.bench.nas_report import beats, gates, of, percent, say
from tests.bench.structure_end import finished

SEEDS = tuple(range(32))            # of the table's searches; nothing was tuned on these
EVALUATIONS = 60
AT = (20, 30, 40, 60)
STUDENTS = {"trade": {"region": "trust"}, "random": {"region": "none"},
            "by hand": {"region": "none", "factors": {"op": ["mb2"], "width": [0.75], "layers": [2]}}}
TASK = "tests.bench.asktell_trade:fashion_mnist"
SCHEDULE = Schedule(prune_epochs=10, finetune_epochs=20, qat_epochs=2, teacher_epochs=16, warmup_epochs=1, batch=64,
                    rate=0.05, epoch_samples=3_072)
SETTINGS = {"times": 10.0, "epochs": 2}       # 50 evaluations
LEVEL = 0.05


def fashion_mnist() -> Task:
    """The contest's, with a teacher that is small enough to be asked at every step."""
    return replace(contest.fashion_mnist(), options={"stem": 16, "widths": [16, 32, 64], "strides": [2, 2, 2]})


def samplers(seed: int, of: Any) -> dict[str, Any]:
    return {"trust": TrustRegionSampler(of, oracle.GENERATION, seed),
            "global": TrustRegionSampler(of, oracle.GENERATION, seed, is_global=True), "random": None}


def measure(folder: Path, seeds: list[int], quick: bool, stop: Callable[..., None]) -> dict[str, Any]:
    table.build(stop, quick)
    contests = [_contest(folder, seed, stop) for seed in (SEEDS[:2] if quick else SEEDS)]
    rows = [_student(folder, name, seed, quick, stop) for seed in seeds for name in STUDENTS]
    own = oracle.oracle()
    said = {**{k: v for k, v in own.said.items() if k != "rows"}, "networks": len(own.rows)}
    return {"table": said, "contests": contests,
            "rows": [r for r in rows if r]}


def _contest(folder: Path, seed: int, stop: Callable[..., None]) -> dict[str, Any]:
    """Of one seed: per arm the regret after each evaluation, and how the region moved."""
    path = folder / f"table-{seed}.json"
    if not path.exists():
        stop()
        own, limit = oracle.oracle(), oracle.oracle().limit(seed)
        best = max(r["accuracy"] for r in own.rows.values() if r["cycles"] <= limit)
        problem, found = oracle.problem(lambda f: f["accuracy"], limit, dummies=True), {}
        for name, sampler in samplers(seed, problem).items():
            sampler_of = sampler.seeded if sampler else lambda k: optuna.samplers.RandomSampler(seed=k)
            nets = oracle.searched(problem, sampler_of, EVALUATIONS, seed)
            values = oracle.best_so_far([n.figures["accuracy"] for n in nets], EVALUATIONS)
            found[name] = {"regret": [best - v for v in values], "lengths": sampler.trace if sampler else []}
        fitting = sum(r["cycles"] <= limit for r in own.rows.values())
        write_file(path, json.dumps({"seed": seed, "limit": limit, "fitting": fitting, "best": best, "arms": found}) + "\n")
    return json.loads(path.read_text())


def budget() -> tuple[Budget, dict[str, Any]]:
    """What the student made by hand takes: inverted bottlenecks throughout, as MobileNetV2 has them, at this scale."""
    space = Factored(spaces.load("images", table.SPACE, (28, 28, 1), 10), STUDENTS["by hand"]["factors"])
    genotype = space.genotype({})
    cost = Prices(space.space, Board.load(contest.M4), None, simulated).exact(genotype)
    return Budget(cost.ram_bytes, cost.flash_bytes, cost.latency_us), genotype.choices


def _student(folder: Path, name: str, seed: int, quick: bool, stop: Callable[..., None]) -> dict[str, Any] | None:
    out, limits = folder / f"{name.replace(' ', '-')}-{seed}", budget()[0]
    settings = {**SETTINGS, "factors": {k: list(v) for k, v in FAMILIES.items()}, **STUDENTS[name]}
    schedule = SCHEDULE.smoke() if quick else SCHEDULE
    if name == "by hand":
        settings |= {"times": 1e-3, "generation": 1}

    def run() -> dict[str, Any]:
        result = search(TASK, Board.load(contest.M4), limits, "trade", out, seed, start="images",
                        options=table.SPACE, schedule=schedule, settings=settings, progress=stop)
        return {**finished(result, out, limits, stop), "choices": result.genotype.choices, "widths": result.genotype.widths}

    asked = {"settings": settings, "schedule": vars(schedule), "budget": vars(limits), "space": table.SPACE}
    return row_of(out, asked, partial(run), arm=name, seed=seed, board=contest.M4)


def report(found: dict[str, Any]) -> tuple[str, dict[str, str]]:
    said, contests, rows = found["table"], found["contests"], found["rows"]
    at = [k for k in AT if k <= len(contests[0]["arms"]["trust"]["regret"])]
    lines = [[arm, *(f"{100 * mean(_regrets(contests, arm, k)):.2f}" for k in at)] for arm in ("trust", "global", "random")]
    text = ["# TRADE: a trust region over block families\n",
            f"The table: {said['networks']} networks of two stages "
            f"({', '.join(table.FACTORS['op'])}; widths, layers), each trained by distillation on {said['samples_each']:,} "
            f"images from a teacher of {100 * said['teacher']['accuracy']:.1f} %; {said['cpu_seconds']} CPU seconds. "
            f"{len(contests)} seeds, each with a latency limit of its own; {EVALUATIONS} evaluations in generations of "
            f"{oracle.GENERATION}, first ones by Latin hypercube; {len(oracle.DUMMIES.options)} genes mean nothing.\n",
            "Regret in points of validation accuracy: the best network within the limit, less the best found.\n",
            markdown(["arm", *(f"after {k}" for k in at)], lines), *(_students(rows) if rows else ()),
            "## Expectations\n", "\n".join([*_on_table(contests), *_of_students(rows)]) + "\n",
            "![regret over evaluations](asktell-trade.svg)\n"]
    lines_of = {arm: np.mean([c["arms"][arm]["regret"] for c in contests], 0) * 100 for arm in ("trust", "global", "random")}
    return "\n".join(text), {"asktell-trade.svg": curves(lines_of, "evaluations", "regret, points")}


def _students(rows: list[dict[str, Any]]) -> list[str]:
    return ["## Students\n",
            f"Fashion-MNIST, {contest.TRAINING_IMAGES:,} training images, all test images. Budget: RAM, flash and latency "
            "of the student made by hand. Every student is trained by distillation from the seed's own teacher, quantized, "
            "and run in QEMU. `random`: the same evaluations, drawn by lot.\n",
            markdown(["arm", "int8 %", "per seed", "RAM / flash / latency", "evaluations", "samples", "CPU s", "network"],
                     [_line(rows, arm) for arm in STUDENTS if of(rows, arm)])]


def _line(rows: list[dict[str, Any]], arm: str) -> list[Any]:
    own = of(rows, arm)
    return [arm, percent(own), " ".join(f"{100 * r['int8_accuracy']:.2f}" for r in own),
            " / ".join(f"{max(r['exported_use'][k] for r in own):.3f}" for k in ("ram", "flash", "latency")),
            own[0]["facts"]["evaluations"], round(mean(r["samples"] for r in own)),
            round(mean(sum(r["cpu_seconds"].values()) for r in own)),
            "; ".join(" ".join(r["choices"].values()) + f" {list(r['widths'].values())}" for r in own)]


def _regrets(contests: list[dict[str, Any]], arm: str, at: int) -> list[float]:
    return [c["arms"][arm]["regret"][at - 1] for c in contests]


def _on_table(contests: list[dict[str, Any]]) -> list[str]:
    """The target is the mean of the regret over the evaluations after the first ones, which all arms draw alike."""
    lines = []
    area = {arm: [mean(c["arms"][arm]["regret"][AT[0] - 1:]) for c in contests] for arm in ("trust", "global", "random")}
    for rival in ("global", "random"):
        gain = np.array(area[rival]) - np.array(area["trust"])
        chance = float(wilcoxon(gain, alternative="greater").pvalue) if gain.any() else 1.0
        lines.append(say(f"trust region better than {rival}: mean regret over evaluations {AT[0]} to {EVALUATIONS} "
                         f"{100 * mean(area['trust']):.2f} against {100 * mean(area[rival]):.2f} points; better in "
                         f"{int((gain > 0).sum())}, worse in {int((gain < 0).sum())} of {len(gain)} seeds; paired Wilcoxon "
                         f"p = {chance:.4f}", mean(gain) > 0 and chance < LEVEL))
        end = np.array(_regrets(contests, rival, EVALUATIONS)) - np.array(_regrets(contests, "trust", EVALUATIONS))
        lines.append(say(f"and no worse at the end: {100 * mean(_regrets(contests, 'trust', EVALUATIONS)):.2f} against "
                         f"{100 * mean(_regrets(contests, rival, EVALUATIONS)):.2f} points", float(end.mean()) >= 0))
    moves = [np.divide(trace[1:], trace[:-1]) for c in contests if (trace := c["arms"]["trust"]["lengths"])]
    grew, shrank, anew = (sum(bool(is_so(m).any()) for m in moves)
                          for is_so in (lambda m: m == 2, lambda m: m == 0.5, lambda m: m > 2))
    lines.append(say(f"the region grows and shrinks (it grew in {grew}, shrank in {shrank}, began anew in {anew} of "
                     f"{len(contests)} seeds)", grew > 0 and shrank > 0))
    return lines


def _of_students(rows: list[dict[str, Any]]) -> list[str]:
    return [*gates(rows), *beats(rows, "trade", "by hand"), *beats(rows, "trade", "random")]
