# SPDX-License-Identifier: Apache-2.0
"""RepNAS (nas-methods.md, paper 17): are searched branches worth more than hand-made ones, than a random lot, than none?

One network, a chain of convolutions as the paper's, trained by one recipe for the same epochs in every arm; what differs is
which branches its convolutions train with. All are deployed as the same list of ops, so accuracy is compared at equal cost
and the price is training time.
"""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

from mcunas.search.repnas import SETTINGS
from mcunas.space import space as spaces
from mcunas.tasks import Schedule
from tests.bench import nas_contest as contest
from tests.bench.measure import markdown
from tests.bench.nas_report import beats, both, of, percent, say
from tests.bench.structure_arms import Arm, measured
from tests.bench.structure_end import Rows, gates
from tests.bench.structure_picture import dots

NET = {"options": ["conv3x3"], "stem": {"kernel": [3, 3], "channels": 8, "stride": [2, 2]},
       "stages": [{"channels": 16, "stride": 2, "slots": 4}, {"channels": 24, "stride": 2, "slots": 3}]}
SCHEDULE = Schedule(prune_epochs=5, finetune_epochs=25, qat_epochs=2, warmup_epochs=1, batch=64, rate=0.1,
                    epoch_samples=3_000)
NOTES = {"plain": "the convolution alone", "hand-made": "DiverseBranchBlock's four in every layer",
         "searched": f"{SETTINGS['kept']:g} of all branches, searched; and the identity, where shapes allow",
         "random": "placebo: as many, by lot; and the identity", "identity": "the convolution and the identity",
         "all": "every branch in every layer"}


def measure(folder: Path, seeds: list[int], quick: bool, stop: Callable[..., None]) -> dict[str, Any]:
    start = folder / "chain.json"
    spaces.load("images", NET, (28, 28, 1), 10).uniform("conv3x3").save(start)
    arms = {name: Arm("repnas", str(start), settings={"branches": name}, goals=()) for name in NOTES}
    return {"rows": measured(arms, SCHEDULE, folder, seeds, quick, stop)}


def report(found: dict[str, Any]) -> tuple[str, dict[str, bytes]]:
    rows: Rows = found["rows"]
    lines = [[arm, percent(own), " ".join(f"{100 * r['int8_accuracy']:.2f}" for r in own), percent(own, "float_accuracy"),
              f"{own[0]['facts']['kept_branches']} of {own[0]['facts']['all_branches']}", round(mean(map(training, own))),
              f"{max(r['facts']['fusion_error'] for r in own):.1e}", sum(r["mismatches"] for r in own), note]
             for arm, note in NOTES.items() if (own := of(rows, arm))]
    table = markdown(["arm", "int8 %", "per seed", "float %", "branches", "training CPU s", "fusion error", "mismatches",
                      "what it is"], lines)
    text = ["# RepNAS: branches while training, one convolution on the board\n",
            f"Space images, {NET}; Fashion-MNIST, {contest.TRAINING_IMAGES:,} training images, all 10,000 test images, "
            f"{SCHEDULE.float_epochs} epochs of {SCHEDULE.epoch_samples:,} samples in every arm. Fusion error: largest "
            "difference of logits, relative to the largest logit, float32.\n", table, "## Expectations\n",
            "\n".join([*gates(rows), *_expected(rows)]) + "\n", "![accuracy by arm](structure-repnas.png)\n"]
    points = {arm: [100 * r["int8_accuracy"] for r in of(rows, arm)] for arm in NOTES if of(rows, arm)}
    return "\n".join(text), {"structure-repnas.png": dots(points, "int8 test accuracy, % (bar: mean of seeds)")}


def training(row: dict[str, Any]) -> float:
    """CPU seconds of all float epochs."""
    return sum(row["cpu_seconds"].get(phase, 0.0) for phase in ("search", "finetune"))


def _expected(rows: Rows) -> list[str]:
    said = []
    if rows:
        costs = {(r["ram_bytes"], r["flash_bytes"], r["cycles"], str(r["ops"])) for r in rows}
        said.append(say(f"all arms deploy the same ops at the same price ({len(costs)} kinds)", len(costs) == 1))
        worst = max(r["facts"]["fusion_error"] for r in rows)
        said.append(say(f"fusion is exact to 1e-5 in float32: {worst:.1e}", worst <= 1e-5))
        lost = max(100 * (r["float_accuracy"] - r["int8_accuracy"]) for r in rows)
        said.append(say(f"int8 is within 0.5 points of float in every run: {lost:.2f} at most", lost <= 0.5))
    for other in ("plain", "hand-made", "identity", "random"):
        said += beats(rows, "searched", other)
    for other in ("all", "hand-made"):
        a, b = both(rows, "searched", other)
        if a:
            ratio = mean(map(training, a)) / mean(map(training, b))
            said.append(say(f"searched trains in less time than {other}: {ratio:.2f} of its CPU seconds", ratio < 1))
    return said
