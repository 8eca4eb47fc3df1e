# SPDX-License-Identifier: Apache-2.0
"""RAN-explicit (pruning-methods.md section 8, A11): what do collapsed bottlenecks save, and what do they lose?

Inverted bottlenecks everywhere; all of them collapsed; as few as a budget of half the bottlenecks' peak RAM and no more than
their time demands; and the pattern that is searched under that budget. Beside them the collapsed form itself, trained as it
is deployed, which shows what training wide is worth; and collapsed blocks that are wider where that takes no RAM, for the
time that they save.
RAM is stated twice: as compiled by default, and the least that the compiler can do when it computes bottlenecks in strips
and in place, at the cost of cycles.
"""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.device.alone import simulated
from mcunas.space import space as spaces
from mcunas.space.price import Prices
from mcunas.tasks import Schedule
from tests.bench import nas_contest as contest
from tests.bench.measure import markdown
from tests.bench.nas_report import beats, both, of, percent, say
from tests.bench.structure_arms import BOARD, Arm, measured
from tests.bench.structure_end import Rows, gates
from tests.bench.structure_picture import plane

WIDE, COLLAPSED = "mb3_e4", "ran3_e4"
NET = {"stem": {"kernel": [3, 3], "channels": 8, "stride": [2, 2]},
       "stages": [{"channels": 16, "stride": 1, "slots": 1}, {"channels": 16, "stride": 2, "slots": 2},
                  {"channels": 32, "stride": 2, "slots": 2}]}
SCHEDULE = Schedule(prune_epochs=5, finetune_epochs=30, qat_epochs=2, warmup_epochs=1, batch=64, rate=0.1,
                    epoch_samples=3_000)
SHARE = 0.5         # of the bottlenecks' RAM
CHANNELS = (16, 24, 48)     # of the wider network: its peak stays in the first stage


def _space(*options: str) -> dict[str, Any]:
    return {"options": list(options), **NET}


def arms() -> dict[str, Arm]:
    """Arms without a budget, and two with the share of RAM and the time of the bottlenecks."""
    space = spaces.load("images", _space(WIDE, COLLAPSED), (28, 28, 1), 10)
    dense = Prices(space, Board.load(BOARD), simulator=simulated).exact(space.uniform(WIDE))
    budget = Budget(int(SHARE * dense.ram_bytes), latency=dense.latency_us)
    both_options, wider = _space(WIDE, COLLAPSED), _space(COLLAPSED)
    wider["stages"] = [{**stage, "channels": channels} for stage, channels in zip(NET["stages"], CHANNELS)]
    return {
        "bottlenecks": Arm("always", "images", _space(WIDE), {"option": WIDE}, note="inverted bottlenecks, expansion 4"),
        "collapsed": Arm("always", "images", _space(COLLAPSED), {"option": COLLAPSED}, note="all collapsed"),
        "fewest": Arm("always", "images", both_options, {"option": WIDE}, budget,
                      note="as few collapsed as half the RAM and no more time demand"),
        "searched": Arm("ran", "images", both_options, {}, budget,
                        note="pattern searched under half the RAM, no more time"),
        "plain": Arm("always", "images", _space("conv3x3"), {"option": "conv3x3"},
                     note="the collapsed form, trained as it is"),
        "wider": Arm("always", "images", wider, {"option": COLLAPSED}, budget,
                     note=f"collapsed blocks only, {CHANNELS} channels, in the same budget"),
    }


def measure(folder: Path, seeds: list[int], quick: bool, stop: Callable[..., None]) -> dict[str, Any]:
    return {"rows": measured(arms(), SCHEDULE, folder, seeds, quick, stop)}


def report(found: dict[str, Any]) -> tuple[str, dict[str, bytes]]:
    rows: Rows = found["rows"]
    notes = {name: arm.note for name, arm in arms().items()}
    lines = [[arm, percent(own), " ".join(f"{100 * r['int8_accuracy']:.2f}" for r in own), own[0]["ram_bytes"],
              own[0]["ram_by_goal"]["balanced"], own[0]["ram_by_goal"]["ram"], own[0]["macs"], own[0]["flash_bytes"],
              f"{own[0]['latency_us'] / 1000:.1f}", " ".join(map(_pattern, own)), round(mean(map(_seconds, own))),
              sum(r["mismatches"] for r in own), note] for arm, note in notes.items() if (own := of(rows, arm))]
    table = markdown(["arm", "int8 %", "per seed", "RAM B", "without a budget", "least possible", "MACs", "flash B", "ms",
                      "pattern per seed", "CPU s", "mismatches", "what it is"], lines)
    text = ["# RAN-explicit: bottlenecks that collapse to one convolution\n",
            f"Space images, {NET}; {BOARD}. Fashion-MNIST, {contest.TRAINING_IMAGES:,} training images, all "
            "10,000 test images; one recipe for all. Pattern: B for a bottleneck, C for a collapsed one, in order. RAM, "
            "MACs, flash and time are those of the first seed's exported network.\n",
            table, "## Expectations\n", "\n".join([*gates(rows), *_expected(rows)]) + "\n",
            "![accuracy over RAM](structure-ran.png)\n"]
    points = [(r["arm"], r["ram_bytes"], 100 * r["int8_accuracy"]) for r in rows]
    return "\n".join(text), {"structure-ran.png": plane(points, "peak RAM, B", "int8 test accuracy, %")}


def _pattern(row: dict[str, Any]) -> str:
    return "".join({"m": "B", "r": "C"}.get(option[0], "-") for option in row["genotype"]["choices"].values())


def _seconds(row: dict[str, Any]) -> float:
    return sum(row["cpu_seconds"].values())


def _expected(rows: Rows) -> list[str]:
    said = []
    wide, flat = both(rows, "bottlenecks", "collapsed")
    if wide:
        loss = 100 * mean(a["int8_accuracy"] - b["int8_accuracy"] for a, b in zip(wide, flat))
        for goal, what in (("balanced", "as compiled by default"), ("ram", "least possible, for both")):
            times = wide[0]["ram_by_goal"][goal] / flat[0]["ram_by_goal"][goal]
            said.append(say(f"all collapsed take {times:.2f} times less RAM, {what}, and lose {loss:.2f} points "
                            "(at least 2 times, at most 1 point)", times >= 2 and loss <= 1))
        ratio = flat[0]["cycles"] / wide[0]["cycles"]
        said.append(say(f"collapsed take {ratio:.2f} of the cycles", ratio <= 1))
    for arm in ("searched", "fewest", "wider"):
        a, b = both(rows, arm, "bottlenecks")
        if a:
            lost = 100 * mean(y["int8_accuracy"] - x["int8_accuracy"] for x, y in zip(a, b))
            times, cycles = (mean(y[key] / x[key] for x, y in zip(a, b)) for key in ("ram_bytes", "cycles"))
            said.append(say(f"{arm} takes {times:.2f} times less RAM than bottlenecks as compiled by default, "
                            f"{1 / cycles:.2f} of their cycles, and loses {lost:.2f} points (at least 2 times, at most 1)",
                            times >= 2 and lost <= 1))
    worst = max((100 * (r["float_accuracy"] - r["int8_accuracy"]) for r in of(rows, "collapsed")), default=None)
    if worst is not None:
        said.append(say(f"a collapsed network's int8 is within 0.2 points of its float in every run: {worst:.2f} at most",
                        worst <= 0.2))
    return [*said, *beats(rows, "collapsed", "plain"), *beats(rows, "searched", "fewest")]
