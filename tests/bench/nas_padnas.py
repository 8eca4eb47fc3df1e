# SPDX-License-Identifier: Apache-2.0
"""PAD-NAS (nas-methods.md, paper 6): is the space that is left better, and does pruning by evidence beat pruning by lot?

The arms train their supernets for equal samples. Quality of a space: mean accuracy of random networks of equal cost, with
the supernet's weights at each stage (`facts`), and with weights of their own (`extra`), which also says how well the
supernet ranks.
"""
from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from scipy.stats import kendalltau

from mcunas.search.nas.derive import LEAST_USE
from mcunas.search.nas.finals import trained
from tests.bench import nas_contest as contest
from tests.bench.measure import markdown
from tests.bench.nas import Arm
from tests.bench.nas_report import Rows, baselines, beats, both, gates, of, picture, say, table, words

ARMS = {
    "padnas": Arm("padnas", note="three stages, pruned by the population"),
    "one-shot": Arm("padnas", {"evidence": "none"}, note="one space for all stages"),
    "by-lot": Arm("padnas", {"evidence": "random"}, note="placebo: as many options, drawn by lot"),
}
SPACES = ("padnas", "one-shot", "by-lot")
ABOUT = ("NSGA-II goes by the error of the supernet's path against cycles; every network over the budget is infeasible by "
         "its exact price.")
LEAST_TAU = 0.05                # less is noise
NETS, EPOCHS = 8, 2             # that measure a space by itself, and say whether the supernet ranks them as they rank alone


def extra(folder: Path, quick: bool, stop: Callable[[], None]) -> dict[str, Any]:
    """space-seed-stage -> random networks of that space: accuracy of the supernet's path, and alone. The first stage is
    the same in all arms."""
    torch.set_num_threads(1)
    found = {}
    for path in sorted(folder.glob("*/row.json")):
        row = json.loads(path.read_text())
        stages = row["facts"].get("stages", []) if row["arm"] in SPACES else []
        for number in range(len(stages)):
            if number + 1 != len(stages) and (number or row["arm"] != "padnas"):
                continue
            kept = path.parent / f"alone-{number + 1}.json"
            if not kept.exists():
                kept.write_text(json.dumps(_alone(stages[number]["drawn"], row["seed"], quick, stop), indent=1) + "\n")
            found[f"{row['arm']}-{row['seed']}-{number + 1}"] = json.loads(kept.read_text())
    return {"alone": found}


def _alone(drawn: Sequence[Mapping[str, Any]], seed: int, quick: bool, stop: Callable[[], None]) -> dict[str, Any]:
    task, started = contest.fashion_mnist().sealed(), time.process_time()
    drawn, accuracies = drawn[:2 if quick else NETS], []
    for net in drawn:
        stop()
        genotype = contest.space().genotype(net["choices"])
        accuracies.append(trained(task, genotype, contest.SEARCH, seed, 1 if quick else EPOCHS))
    return {"accuracies": accuracies, "shared": [n["accuracy"] for n in drawn], "seconds": time.process_time() - started}


def tau(one: Sequence[float], other: Sequence[float]) -> float:
    """Kendall's tau-b; 0 where one of them does not tell any apart."""
    found = kendalltau(one, other).statistic
    return 0.0 if math.isnan(found) else float(found)


def report(rows: Rows, extra: dict[str, Any]) -> tuple[str, dict[str, str]]:
    alone = extra.get("alone", {})
    others, notes = baselines()
    everything = [*rows, *others]
    text = ["# PAD-NAS: a space that shrinks by stages\n", words("padnas"), ABOUT, "",
            table(everything, {**{n: a.note for n, a in ARMS.items()}, **notes}),
            "## The space, stage by stage\n", _stages(rows)]
    if alone:
        text += ["## A space by itself\n",
                 f"Validation accuracy of {NETS} random networks that use {LEAST_USE:g} to 1 of the budget, each trained "
                 f"from scratch for {EPOCHS} epochs; Kendall's tau of their order under the supernet's weights "
                 "against that.\n",
                 _spaces(alone)]
    text += ["## Expectations\n", "\n".join([*gates(rows), *_expected(everything, alone)]) + "\n",
             "![accuracy over latency](nas-padnas.svg)\n"]
    return "\n".join(text), {"nas-padnas.svg": picture(everything, [*ARMS, *notes])}


def _stages(rows: Rows) -> str:
    lines = [[arm, r["seed"], number, s["options"], s["seen"], f"{100 * s['quality']:.1f}",
              f"{s['quality_cycles'] / 1e6:.3f}", sum(map(len, s.get("dropped", {}).values()))]
             for arm in SPACES for r in of(rows, arm) for number, s in enumerate(r["facts"]["stages"], 1)]
    return markdown(["arm", "seed", "stage", "options", "networks seen", "quality %, supernet's weights", "at megacycles",
                     "options dropped after"], lines)


def _spaces(alone: Mapping[str, Any]) -> str:
    return markdown(["space-seed-stage", "mean %", "networks", "tau"],
                    [[name, f"{100 * mean(f['accuracies']):.2f}", " ".join(f"{100 * a:.1f}" for a in f["accuracies"]),
                      f"{tau(f['shared'], f['accuracies']):+.2f}"] for name, f in alone.items() if f["accuracies"]])


def _stage(alone: Mapping[str, Any], arm: str, number: int) -> dict[int, Mapping[str, Any]]:
    """seed -> what was measured of a stage's space."""
    return {s: found for s in range(10) if (found := alone.get(f"{arm}-{s}-{number}")) and found["accuracies"]}


def _orders(alone: Mapping[str, Any], last: int) -> list[str]:
    first, shrunk = ([tau(f["shared"], f["accuracies"]) for f in _stage(alone, "padnas", n).values()] for n in (1, last))
    if not first or not shrunk:
        return []
    return [say(f"the supernet ranks networks better once the space has shrunk: tau {mean(first):+.2f} at the first stage, "
                f"{mean(shrunk):+.2f} at the last (more by {LEAST_TAU} at least)", mean(shrunk) >= mean(first) + LEAST_TAU)]


def _expected(rows: Rows, alone: Mapping[str, Any]) -> list[str]:
    last = max((len(r["facts"]["stages"]) for r in of(rows, "padnas")), default=0)
    lines = _orders(alone, last)
    for rival in ("one-shot", "by-lot"):
        a, b = both(rows, "padnas", rival)
        if a:
            own, theirs = (mean(r["facts"]["stages"][-1]["quality"] for r in found) for found in (a, b))
            lines.append(say(f"quality of the last space, supernet's weights: {100 * (own - theirs):+.1f} points over "
                             f"{rival}", own > theirs))
        own, theirs = _stage(alone, "padnas", last), _stage(alone, rival, last)
        seeds = own.keys() & theirs.keys()
        if seeds:
            gain = 100 * mean(mean(own[s]["accuracies"]) - mean(theirs[s]["accuracies"]) for s in seeds)
            lines.append(say(f"quality of the last space, stand-alone: {gain:+.2f} points over {rival}", gain > 0))
        lines += beats(rows, "padnas", rival)
    return lines + beats(rows, "padnas", "random")
