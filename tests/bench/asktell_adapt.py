# SPDX-License-Identifier: Apache-2.0
"""A classification backbone adapted to detection (nas-methods.md, paper 3): the original at equal cycles and RAM, and the
placebo whose weights are shuffled before they are mapped.
"""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

from mcunas.board import Board
from mcunas.budget import Budget
from tests.bench.asktell_detect import BOARD, EVALUATIONS, TASK, each, percent, searched
from tests.bench.asktell_nsga2 import on_board
from tests.bench.asktell_picture import clouds
from tests.bench.measure import markdown
from tests.bench.nas_report import both, of, say

STAGES = {"parent": 4, "warmed": 4}
FINALISTS, LONGER = 5, 4
FACTORS = {"op": ["ds", "mb2", "mb3", "mb4"], "width": [0.5, 0.75, 1.0, 1.25], "layers": [1, 2, 3]}
ARMS = {"adapted": "what the search finds, with mapped weights", "original": "the pre-trained backbone as it is",
        "scaled": "the original with all its widths scaled to what the adapted one takes at most",
        "shuffled": "the same search with shuffled weights, without an end"}


def measure(folder: Path, seeds: list[int], quick: bool, stop: Callable[..., None]) -> dict[str, Any]:
    rows = []
    for seed in seeds:
        given, found = {"parent_from": str(folder / f"adapted-{seed}")}, None
        for name in ARMS:
            settings = {"adapted": {}, "shuffled": {"mapping": "shuffled", **given}}.get(
                name, {"sampler": "original", **given})
            if name == "scaled" and not found:
                continue
            row = searched(folder, name, seed, "adapt", {"factors": FACTORS, "finalists": 1 if quick else FINALISTS,
                                                         "longer": LONGER, **settings},
                           _cost(found) if name == "scaled" else Budget(), STAGES,
                           EVALUATIONS + FINALISTS * LONGER, name != "shuffled", quick, stop)
            found = row if name == "adapted" else found
            rows.extend([row] if row else [])
            print(name, seed, row and (row.get("int8_accuracy"), sum(row["ledger"]["cpu_seconds"].values())), flush=True)
    return {"rows": rows}


def _cost(row: dict[str, Any]) -> Budget:
    """What a network takes."""
    return Budget(row["ram_bytes"], None, row["cycles"] / Board.load(BOARD).clock_hz * 1e6)


def report(found: dict[str, Any]) -> tuple[str, dict[str, str]]:
    rows = found["rows"]
    lines = [[arm, percent([r["int8_accuracy"] for r in own]), each([r["int8_accuracy"] for r in own]),
              percent([r["validation_accuracy"] for r in own]), percent([r["host_measures"]["mAP50"] for r in own]),
              *(" ".join(f"{r[k]:,}" for r in own) for k in ("cycles", "ram_bytes", "flash_bytes")),
              round(mean(sum(r["cpu_seconds"].values()) for r in own)), note]
             for arm, note in ARMS.items() if arm != "shuffled" and (own := of(rows, arm))]
    genes = [(r["arm"], r["seed"], r["genotype"]) for arm in ARMS for r in of(rows, arm)]
    nets = [f"- {arm} {seed}: {' '.join(g['choices'].values())} {list(g['widths'].values())}" for arm, seed, g in genes]
    text = ["# A classification backbone adapted to detection\n",
            f"{TASK}; the backbone is trained on single items of Fashion-MNIST, then for {STAGES['warmed']} epochs as the "
            f"original detector; {EVALUATIONS} candidates, none of which takes more cycles or RAM than the original, the "
            f"best {FINALISTS} again with {LONGER} times the steps; all ends are trained alike, quantized, and run in "
            "QEMU.\n",
            markdown(["arm", "int8 mAP", "per seed", "validation mAP, float", "int8 mAP50, streamed images", "cycles",
                      "RAM", "flash", "CPU s", "what it is"], lines), "\n".join(nets) + "\n",
            "## Expectations\n", "\n".join([*_expected(rows), *on_board([r for r in rows if "int8_accuracy" in r])]) + "\n",
            "![mAP over cycles](asktell-adapt.svg)\n"]
    shown = {arm: ([c["cycles"] / r["facts"]["original"]["cycles"] for r in own for c in r["facts"]["candidates"]],
                   [100 * c["accuracy"] for r in own for c in r["facts"]["candidates"]])
             for arm in ("adapted", "shuffled") if (own := of(rows, arm))}
    return "\n".join(text), {"asktell-adapt.svg": clouds(shown, "share of the original's cycles", "validation mAP, %", 1.0)}


def _expected(rows: list[dict[str, Any]]) -> list[str]:
    lines = []
    for rival, words in (("original", "the original as it is"),
                         ("scaled", "the original scaled to no more than its cycles and RAM")):
        a, b = both(rows, "adapted", rival)
        if a:
            gain = [x["int8_accuracy"] - y["int8_accuracy"] for x, y in zip(a, b)]
            share = [mean(x[k] / y[k] for x, y in zip(a, b)) for k in ("cycles", "ram_bytes")]
            lines.append(say(f"the adapted backbone is better than {words}: {100 * mean(gain):+.2f} mAP int8 (by seed: "
                             f"{each(gain)}), with {share[0]:.2f} times the cycles and {share[1]:.2f} times the RAM",
                             mean(gain) > 0))
    a, b = both(rows, "adapted", "shuffled")
    if a:
        gain = [_mean(x) - _mean(y) for x, y in zip(a, b)]
        lines.append(say(f"candidates with mapped weights are better than those with shuffled ones: {100 * mean(gain):+.2f} "
                         f"mAP on average (by seed: {each(gain)})", mean(gain) > 0))
    if a := of(rows, "adapted"):
        use = max(r[k] / r["facts"]["original"][k] for r in a for k in ("cycles", "ram_bytes"))
        lines.append(say(f"no adapted network takes more cycles or RAM than the original (at most {use:.3f})", use <= 1))
    return lines


def _mean(row: dict[str, Any]) -> float:
    return mean(c["accuracy"] for c in row["facts"]["candidates"])
