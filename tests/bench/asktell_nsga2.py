# SPDX-License-Identifier: Apache-2.0
"""Detection backbones by non-dominated sorting with weight mapping (nas-methods.md, paper 14): fronts at equal ledgers, the
shuffled placebo, and the network found beside the parent scaled by hand, to the budget and to the cycles of what was found.
"""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.search.nsga2 import PARENT
from tests.bench.asktell_detect import BOARD, EVALUATIONS, TASK, cost_of, each, percent, points, searched, volume
from tests.bench.asktell_picture import clouds
from tests.bench.measure import markdown
from tests.bench.nas_report import both, gates, of, say

STAGES = {"parent": 6}
# Of a stage: what the paper searches. Of draws by lot, every third or fourth keeps the budget.
FACTORS = {"op": ("mb2", "mb3", "mb4", "mb6"), "width": (0.4, 0.5, 0.6, 0.75, 1.0, 1.25), "layers": (1, 2, 3)}
SHARE = 0.7                     # of the parent's cycles: the budget
WEIGHTS = (0.05, 0.2, 0.6)      # of the largest share of a budget, against mAP: one third of the evaluations each
REPORTED = 8                    # points of a front
SEARCHES = ("nsga2", "random", "weighted", "shuffled")
FINALS = ("nsga2", "scaled-equal", "scaled")        # trained to the end


def measure(folder: Path, seeds: list[int], quick: bool, stop: Callable[..., None]) -> dict[str, Any]:
    limits, rows = _limits(), []
    for seed in seeds:
        given = {"parent_from": str(folder / f"nsga2-{seed}")}

        def one(name: str, settings: dict, evaluations: int = EVALUATIONS, final: bool = False, seed: int = seed,
                cycles: float | None = None) -> dict[str, Any] | None:
            row = searched(folder, name, seed, "nsga2", {"factors": {k: list(v) for k, v in FACTORS.items()}, **settings},
                           _budget(cycles), STAGES, evaluations, final, quick, stop)
            rows.extend([row] if row else [])
            print(name, seed, row and (row.get("int8_accuracy"), sum(row["ledger"]["cpu_seconds"].values())), flush=True)
            return row

        found = one("nsga2", {}, final=True)
        one("scaled", {"sampler": "scaled", **given}, final=True)
        if found:
            one("scaled-equal", {"sampler": "scaled", **given}, final=True, cycles=found["cycles"])
        one("random", {"sampler": "random", **given})
        one("shuffled", {"mapping": "shuffled", **given})
        for k, weight in enumerate(WEIGHTS):
            one(f"weighted{k}", {"weight": weight, **given}, evaluations=EVALUATIONS // len(WEIGHTS))
    return {"limits": limits, "rows": rows}


def _limits() -> tuple[float, float, float]:
    """Cycles, RAM and flash that volumes are measured in: the budget's cycles, the parent's RAM and flash."""
    cycles, ram_bytes, flash_bytes = cost_of(tuple(FACTORS.items()), tuple(PARENT.items()))
    return SHARE * cycles, ram_bytes, flash_bytes


def _budget(cycles: float | None = None) -> Budget:
    """cycles: other ones than the limit's."""
    most, ram_bytes, flash_bytes = _limits()
    return Budget(int(ram_bytes), int(flash_bytes), (cycles or most) / Board.load(BOARD).clock_hz * 1e6)


def report(found: dict[str, Any]) -> tuple[str, dict[str, str]]:
    rows, limits = found["rows"], found["limits"]
    seeds = sorted({r["seed"] for r in rows})
    arms = {arm: {s: [r for r in rows if r["arm"].startswith(arm) and r["seed"] == s and "candidates" in r["facts"]]
                  for s in seeds} for arm in SEARCHES}
    arms = {arm: {s: r for s, r in of_seed.items() if len(r) == (len(WEIGHTS) if arm == "weighted" else 1)}
            for arm, of_seed in arms.items()}
    lines = [[arm, *(percent([volume(points(r, limits)[:, :axes], count) for r in own.values()])
                     for axes, count in ((4, REPORTED), (4, None), (2, REPORTED))),
              percent([max(c["accuracy"] for row in r for c in row["facts"]["candidates"]) for r in own.values()]),
              round(mean(sum(len(row["facts"]["candidates"]) for row in r) for r in own.values())),
              round(mean(sum(row["ledger"]["cpu_seconds"].get("search", 0) for row in r) for r in own.values()))]
             for arm, own in arms.items() if own]
    finals = [r for r in rows if r["arm"] in FINALS]
    text = ["# Detection backbones by non-dominated sorting with weight mapping\n",
            f"{TASK}; {EVALUATIONS} candidates per arm and seed, all from weights mapped from one parent ({PARENT} in "
            f"every stage), {len(seeds)} seeds. Budget: {SHARE} of the parent's cycles, its RAM and flash. Volume: percent "
            "of the box of mAP, cycles, RAM and flash under the budget that a front dominates; of its best "
            f"{REPORTED} points, of all, and of mAP and cycles alone. The weighted sum has three weights {WEIGHTS} with a "
            "third of the candidates each.\n",
            markdown(["arm", f"volume, {REPORTED} points", "all points", "mAP and cycles", "best candidate, mAP",
                      "candidates", "CPU s of candidates"], lines),
            "## Trained to the end\n",
            markdown(["arm", "int8 mAP", "per seed", "int8 mAP50, streamed images", "cycles", "RAM", "flash"],
                     [[arm, percent([r["int8_accuracy"] for r in own]), each([r["int8_accuracy"] for r in own]),
                       percent([r["host_measures"]["mAP50"] for r in own]), *(" ".join(f"{r[k]:,}" for r in own)
                       for k in ("cycles", "ram_bytes", "flash_bytes"))]
                      for arm in FINALS if (own := of(finals, arm))]),
            "## Expectations\n", "\n".join([*_fronts(arms, limits), *_finals(finals), *on_board(finals)]) + "\n",
            "![mAP over cycles](asktell-nsga2.svg)\n"]
    shown = {arm: (1 - p[:, 1], 100 * p[:, 0]) for arm, own in arms.items() if own
             for p in [points([row for r in own.values() for row in r], limits)]}
    return "\n".join(text), {"asktell-nsga2.svg": clouds(shown, "share of the budget's cycles", "validation mAP, %", 1.0)}


def _fronts(arms: dict, limits: tuple[float, ...]) -> list[str]:
    lines = []
    for rival in ("random", "weighted", "shuffled"):
        seeds = sorted(set(arms["nsga2"]) & set(arms[rival]))
        if seeds:
            gain = [volume(points(arms["nsga2"][s], limits), REPORTED) - volume(points(arms[rival][s], limits), REPORTED)
                    for s in seeds]
            lines.append(say(f"the front of nsga2 has more volume than that of {rival} at an equal ledger: "
                             f"{100 * mean(gain):+.2f} points (by seed: {each(gain)})", mean(gain) > 0))
    pairs = [_common(a, b) for s in sorted(set(arms["nsga2"]) & set(arms["shuffled"]))
             for a, b in [(arms["nsga2"][s], arms["shuffled"][s])]]
    gain = [d for pair in pairs for d in pair]
    if gain:
        lines.append(say(f"mapped weights are better than shuffled ones: {100 * mean(gain):+.2f} mAP on the {len(gain)} "
                         "candidates that both tried", mean(gain) > 0))
    return lines


def _common(mapped: list[dict], shuffled: list[dict]) -> list[float]:
    """Differences of the metric of equal networks."""
    a, b = ({c["key"]: c["accuracy"] for row in rows for c in row["facts"]["candidates"]} for rows in (mapped, shuffled))
    return [a[k] - b[k] for k in a if k in b]


def _finals(rows: list[dict[str, Any]]) -> list[str]:
    lines = []
    for rival, words, margin in (("scaled-equal", "the same cycles", 0.01), ("scaled", "the whole budget", 0.0)):
        a, b = both(rows, "nsga2", rival)
        if a:
            gain, share = [x["int8_accuracy"] - y["int8_accuracy"] for x, y in zip(a, b)], [
                x["cycles"] / y["cycles"] for x, y in zip(a, b)]
            lines.append(say(f"the network found has {100 * margin:.0f} mAP or more above the parent scaled by hand to "
                             f"{words}: {100 * mean(gain):+.2f} (by seed: {each(gain)}), with {mean(share):.2f} times the "
                             "cycles", mean(gain) >= margin))
    return lines


def on_board(rows: list[dict[str, Any]]) -> list[str]:
    """What must hold for every network that became firmware."""
    if not rows:
        return []
    off, images = sum(r["board_mismatches"] for r in rows), sum(r["streamed"] for r in rows)
    same = all(r["board_measures"] == r["host_measures"] for r in rows)
    return [*gates(rows), say(f"outputs and boxes decoded by the board are the host's ({off} numbers differ over {images} "
                              "images), and so is mAP", off == 0 and same)]
