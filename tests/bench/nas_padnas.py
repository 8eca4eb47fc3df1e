# SPDX-License-Identifier: Apache-2.0
"""PAD-NAS (nas-methods.md, paper 6): is the space that is left better, and does pruning by evidence beat pruning by lot?

The arms train their supernets for equal samples. Quality of a space: mean accuracy of random networks of equal cost, with
the supernet's weights at each stage (`facts`), and of the last space with weights of their own (`extra`).
"""
from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from mcunas.board import Board
from mcunas.device.alone import simulated
from mcunas.search.nas.derive import LEAST_USE
from mcunas.search.nas.run import sgd
from mcunas.space import Genotype
from mcunas.space.price import Prices, usage
from mcunas.tasks.training import batches, cosine, generator, score, steps_per_epoch, train_epoch
from tests.bench import nas_contest as contest
from tests.bench.measure import markdown
from tests.bench.nas import Arm
from tests.bench.nas_report import Rows, beats, both, gates, of, picture, say, table, words

ARMS = {
    "padnas": Arm("padnas", note="three stages, pruned by the population"),
    "one-shot": Arm("padnas", {"evidence": "none"}, note="one space for all stages"),
    "by-lot": Arm("padnas", {"evidence": "random"}, note="placebo: as many options, drawn by lot"),
    "random": Arm("random-space", note="random search, the samples of a gradient search"),
}
SPACES = ("padnas", "one-shot", "by-lot")
ABOUT = ("NSGA-II goes by the error of the supernet's path against cycles; every network over the budget is infeasible by "
         "its exact price.")
NETS, EPOCHS = 6, 2             # that measure a space by itself


def extra(folder: Path, quick: bool, stop: Callable[[], None]) -> dict[str, Any]:
    """space/seed -> stand-alone accuracies of random networks of the last space, and their mean cycles."""
    torch.set_num_threads(1)
    found = {}
    for path in sorted(folder.glob("*/row.json")):
        row = json.loads(path.read_text())
        if row["arm"] not in SPACES:
            continue
        kept = path.parent / "alone.json"
        if not kept.exists():
            kept.write_text(json.dumps(_alone(row["facts"]["options_left"], row["seed"], quick, stop), indent=1) + "\n")
        found[f"{row['arm']}-{row['seed']}"] = json.loads(kept.read_text())
    return {"alone": found}


def _alone(alive: Mapping[str, Sequence[str]], seed: int, quick: bool, stop: Callable[[], None]) -> dict[str, Any]:
    task, space, started = contest.fashion_mnist().sealed(), contest.space(), time.process_time()
    board, limits = Board.load(contest.M4), contest.budget(contest.M4)
    prices, random = Prices(space, board, limits.ram_bytes, simulated), generator(seed, 7)
    accuracies, cycles = [], []
    for _ in range(2_000):
        if len(accuracies) == (1 if quick else NETS):
            break
        genotype = space.genotype({slot: options[int(torch.randint(len(options), (), generator=random))]
                                   for slot, options in alive.items()})
        flash = prices.added(genotype)[1] / limits.flash_bytes
        if max(flash, prices.added(genotype)[0] / board.clock_hz * 1e6 / limits.latency_us) < LEAST_USE:
            continue
        if LEAST_USE <= max(usage(prices.exact(genotype), limits).values()) <= 1:
            stop()
            accuracies.append(_trained(task, genotype, seed, 1 if quick else EPOCHS))
            cycles.append(prices.exact(genotype).cycles)
    return {"accuracies": accuracies, "cycles": mean(cycles) if cycles else 0, "seconds": time.process_time() - started}


def _trained(task: Any, genotype: Genotype, seed: int, epochs: int) -> float:
    """Validation accuracy after a short training from scratch."""
    torch.manual_seed(seed)
    net, schedule = genotype.build_dense(), contest.SEARCH
    optimizer, steps = sgd(list(net.parameters()), schedule), steps_per_epoch(task, schedule)
    for epoch in range(epochs):
        train_epoch(net, optimizer, batches(task, schedule, seed, epoch),
                    lambda step, epoch=epoch: cosine((epoch + step / steps) / epochs, schedule.rate))
    return score(net, task, task.validation)


def report(rows: Rows, extra: dict[str, Any]) -> tuple[str, dict[str, str]]:
    alone = extra.get("alone", {})
    text = ["# PAD-NAS: a space that shrinks by stages\n", words("padnas"), ABOUT, "",
            table(rows, {n: a.note for n, a in ARMS.items()}),
            "## The space, stage by stage\n", _stages(rows)]
    if alone:
        text += ["## The last space by itself\n",
                 f"Mean validation accuracy of {NETS} random networks that use {LEAST_USE:g} to 1 of the budget, each "
                 f"trained from scratch for {EPOCHS} epochs.\n", _spaces(alone)]
    text += ["## Expectations\n", "\n".join([*gates(rows), *_expected(rows, alone)]) + "\n",
             "![accuracy over latency](nas-padnas.svg)\n"]
    return "\n".join(text), {"nas-padnas.svg": picture(rows, [a for a in ARMS if of(rows, a)])}


def _stages(rows: Rows) -> str:
    lines = [[arm, r["seed"], number, s["options"], s["seen"], f"{100 * s['quality']:.1f}",
              f"{s['quality_cycles'] / 1e6:.3f}", sum(map(len, s.get("dropped", {}).values()))]
             for arm in SPACES for r in of(rows, arm) for number, s in enumerate(r["facts"]["stages"], 1)]
    return markdown(["arm", "seed", "stage", "options", "networks seen", "quality %, supernet's weights", "at megacycles",
                     "options dropped after"], lines)


def _spaces(alone: Mapping[str, Any]) -> str:
    return markdown(["space", "mean %", "networks", "at megacycles"],
                    [[name, f"{100 * mean(f['accuracies']):.2f}", " ".join(f"{100 * a:.1f}" for a in f["accuracies"]),
                      f"{f['cycles'] / 1e6:.3f}"] for name, f in alone.items() if f["accuracies"]])


def _expected(rows: Rows, alone: Mapping[str, Any]) -> list[str]:
    lines = []
    for rival in ("one-shot", "by-lot"):
        a, b = both(rows, "padnas", rival)
        if a:
            own, theirs = (mean(r["facts"]["stages"][-1]["quality"] for r in found) for found in (a, b))
            lines.append(say(f"quality of the last space, supernet's weights: {100 * (own - theirs):+.1f} points over "
                             f"{rival}", own > theirs))
        pairs = [(alone[f"padnas-{s}"], alone[f"{rival}-{s}"]) for s in range(10)
                 if f"padnas-{s}" in alone and f"{rival}-{s}" in alone]
        pairs = [(mean(p["accuracies"]), mean(q["accuracies"])) for p, q in pairs if p["accuracies"] and q["accuracies"]]
        if pairs:
            gain = 100 * mean(p - q for p, q in pairs)
            lines.append(say(f"quality of the last space, stand-alone: {gain:+.2f} points over {rival}", gain > 0))
        lines += beats(rows, "padnas", rival)
    return lines + beats(rows, "padnas", "random")
