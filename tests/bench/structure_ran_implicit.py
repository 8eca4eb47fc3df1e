# SPDX-License-Identifier: Apache-2.0
"""RAN-implicit (pruning-methods.md section 8, A11): does NN-Mass, which needs no training, order networks of equal MACs?

Networks of inverted bottlenecks, widths and depths of two stages by lot, all within 2 % of one number of multiply-
accumulates. The rank correlation of accuracy with NN-Mass, with its interval over networks; beside it what else could order
them: the MACs that are left over, parameters, depth, and the placebo, NN-Mass shuffled among the networks.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from mcunas.space import Genotype
from mcunas.space.nn_mass import nn_mass
from mcunas.tasks import Schedule
from tests.bench import nas_contest as contest
from tests.bench.measure import markdown
from tests.bench.nas_report import of, percent, say
from tests.bench.structure_arms import Arm, measured
from tests.bench.structure_end import Rows, gates
from tests.bench.structure_picture import plane

BLOCK, EXPANSION = "mb3_e2", 2
COUNT, TARGET_MACS, WITHIN, DEEPEST = 16, 600_000, 0.02, 4
RESAMPLED = 2_000       # networks with replacement, and shuffles
SCHEDULE = Schedule(prune_epochs=0, finetune_epochs=12, qat_epochs=1, warmup_epochs=1, batch=64, rate=0.1,
                    epoch_samples=3_000)


def macs(widths: tuple[int, int], depths: tuple[int, int]) -> int:
    """Of the stem (3x3, stride 2), the blocks at 14x14 and 7x7, and the linear layer."""
    total, inputs = 14 * 14 * 9 * widths[0] + 10 * widths[1], widths[0]
    for stage, (size, outputs, depth) in enumerate(zip((14, 7), widths, depths)):
        for index in range(depth):
            inner, seen = EXPANSION * inputs, (14 if stage == 1 and index == 0 else size)
            total += seen**2 * inputs * inner + size**2 * inner * (9 + outputs)
            inputs = outputs
    return total


@cache
def arms() -> dict[str, Arm]:
    random, found = np.random.default_rng(0), {}
    while len(found) < COUNT:
        depths = tuple(int(d) for d in random.integers(1, DEEPEST + 1, 2))
        fitting = [(a, b) for a in range(4, 49) for b in range(round(1.5 * a), round(2.5 * a) + 1)
                   if abs(macs((a, b), depths) / TARGET_MACS - 1) <= WITHIN]
        if not fitting:
            continue
        widths = fitting[int(random.integers(len(fitting)))]
        name = f"{widths[0]}x{depths[0]} {widths[1]}x{depths[1]}"
        stages = [{"channels": w, "stride": s, "slots": d} for w, s, d in zip(widths, (1, 2), depths)]
        space = {"options": [BLOCK], "stages": stages, "stem": {"kernel": [3, 3], "channels": widths[0], "stride": [2, 2]}}
        found[name] = Arm("always", "images", space, {"option": BLOCK}, goals=())
    return found


def measure(folder: Path, seeds: list[int], quick: bool, stop: Callable[..., None]) -> dict[str, Any]:
    return {"rows": measured(arms(), SCHEDULE, folder, seeds, quick, stop)}


def report(found: dict[str, Any]) -> tuple[str, dict[str, bytes]]:
    rows: Rows = found["rows"]
    networks = sorted(((nn_mass(Genotype.of_fields(own[0]["genotype"])), name, own) for name in arms()
                       if (own := of(rows, name))), key=lambda n: n[0])
    lines = [[name, mass, own[0]["macs"], percent(own), percent(own, "float_accuracy"), own[0]["ram_bytes"],
              own[0]["flash_bytes"], f"{own[0]['latency_us'] / 1000:.1f}"] for mass, name, own in networks]
    text = ["# RAN-implicit: NN-Mass at equal MACs\n",
            f"Inverted bottlenecks ({BLOCK}) at 14x14 and 7x7, Fashion-MNIST, {contest.TRAINING_IMAGES:,} training images, "
            "all 10,000 test images; one recipe. Named by width x depth of the two stages.\n",
            markdown(["network", "NN-Mass", "MACs", "int8 %", "float %", "RAM B", "flash B", "ms"], lines),
            "## Expectations\n", "\n".join([*gates(rows), *_expected(networks)]) + "\n",
            "![accuracy over NN-Mass](structure-ran-implicit.png)\n"]
    points = [(name, float(mass), 100 * mean(r["int8_accuracy"] for r in own)) for mass, name, own in networks]
    return "\n".join(text), {"structure-ran-implicit.png": plane(points, "NN-Mass", "int8 test accuracy, %")}


def _expected(networks: list[tuple[int, str, Rows]]) -> list[str]:
    if len(networks) < 4:
        return []
    found = {what: _measured(networks, key) for what, key in (
        ("MACs", lambda name, row: row["macs"]), ("parameters", lambda name, row: row["parameters"]),
        ("depth", lambda name, row: sum(int(part.split("x")[1]) for part in name.split())))}
    mass, exact = np.array([m for m, _, _ in networks]), _accuracies(networks)
    by_mass, (low, high) = _rank(mass, exact), _interval(mass, exact)
    random = np.random.default_rng(1)
    shuffled = np.array([_rank(random.permutation(mass), exact) for _ in range(RESAMPLED)])
    reached = float((shuffled >= by_mass).mean())
    widest = 100 * max(abs(macs_ / TARGET_MACS - 1) for macs_ in found["MACs"])
    return [say(f"MACs of the exported networks are within 3 % of each other's middle ({widest:.1f} %)", widest <= 3),
            say(f"rank correlation of NN-Mass with float accuracy, {len(networks)} networks: {by_mass:.2f} (> 0.3)",
                by_mass > 0.3),
            say(f"its 95 % interval, networks resampled, is above 0: {low:.2f} to {high:.2f}", low > 0),
            say(f"placebo: NN-Mass shuffled reaches it in {100 * reached:.1f} % of the shuffles (at most 5; their mean "
                f"{shuffled.mean():.2f})", reached <= 0.05),
            *(say(f"and above that of {what}: {_rank(values, exact):.2f}", by_mass > _rank(values, exact))
              for what, values in found.items())]


def _measured(networks: list[tuple[int, str, Rows]], key: Callable[[str, dict[str, Any]], float]) -> np.ndarray:
    return np.array([key(name, own[0]) for _, name, own in networks])


def _accuracies(networks: list[tuple[int, str, Rows]]) -> np.ndarray:
    return np.array([mean(r["float_accuracy"] for r in own) for _, _, own in networks])


def _rank(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's."""
    return float(spearmanr(one, other).statistic)


def _interval(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """95 %, by the bootstrap over networks."""
    random = np.random.default_rng(0)
    drawn = (random.integers(len(one), size=len(one)) for _ in range(RESAMPLED))
    found = [_rank(one[i], other[i]) for i in drawn if len(set(one[i])) > 1]
    return tuple(float(q) for q in np.percentile(found, [2.5, 97.5]))
