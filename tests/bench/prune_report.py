# SPDX-License-Identifier: Apache-2.0
"""The tables and pictures of tests/bench/prune.py: docs/results/prune.{json,md} and one prune-<contest>.svg each.

Expectations are printed with the figures whether they hold or not (pruning-methods.md section 1.7 and 11).
"""
from __future__ import annotations

import json
from html import escape
from pathlib import Path
from statistics import mean
from typing import Any

from tests.bench.measure import RESULTS, environment, markdown
from tests.bench.prune_arms import A16, ARMS, BOARD, CONTESTS

Rows = list[dict[str, Any]]


def report(folder: Path, is_quick: bool) -> None:
    """Write what the finished runs in `folder` say; a quick one's into `folder` itself."""
    rows = [json.loads(path.read_text()) for path in sorted(folder.glob("*/*/row.json"))]
    if not rows:
        return
    target = folder if is_quick else RESULTS
    target.mkdir(parents=True, exist_ok=True)
    text = ["# Pruning methods at equal exact budgets\n", _words(), ""]
    for contest in dict.fromkeys(r["contest"] for r in rows):
        own = [r for r in rows if r["contest"] == contest]
        budget = CONTESTS[contest].budget
        over = next((r["dense_over_budget"] for r in own if r["arm"] != "dense"), {})
        text += [f"## {contest}\n", f"Budget: {budget.ram_bytes:,} B RAM, {budget.flash_bytes:,} B flash, "
                 f"{budget.latency_us / 1000:g} ms on {BOARD}; the dense net takes "
                 + ", ".join(f"{v:.1f}x the {k}" for k, v in over.items()) + ".\n", _table(own), _expected(own),
                 f"![accuracy by arm](prune-{contest}.svg)\n"]
        (target / f"prune-{contest}.svg").write_text(_picture(own))
    (target / "prune.md").write_text("\n".join(text))
    (target / "prune.json").write_text(json.dumps({"environment": environment(), "rows": rows}, indent=1) + "\n")


def _words() -> str:
    return ("Accuracy on the test split, read once per stage and seed; float network and exported int8 model (on "
            "tflite-micro). Use: the exported int8 model's exact RAM, flash and modelled latency over the budget, largest "
            "of all seeds. CPU seconds: process time on one thread, dense training to the end of fine-tuning, mean; "
            "samples include a teacher's. All arms have the same epochs, optimizer, augmentation, fine-tuning and "
            "quantization. `python -m tests.bench.prune` goes on with what is missing.")


def _of(rows: Rows, arm: str) -> Rows:
    return sorted((r for r in rows if r["arm"] == arm), key=lambda r: r["seed"])


def _cpu(row: dict[str, Any]) -> float:
    return sum(s for phase, s in row["cpu_seconds"].items() if phase != "quantize")


def _arms(rows: Rows) -> list[str]:
    return [name for name in ARMS if _of(rows, name)]


def _table(rows: Rows) -> str:
    table = []
    for arm in _arms(rows):
        own = _of(rows, arm)
        int8 = [r["int8_accuracy"] for r in own if "int8_accuracy" in r]
        use = [r["exported_use"] for r in own if "exported_use" in r]
        table.append([arm, f"{100 * mean(r['float_accuracy'] for r in own):.2f}",
                      f"{100 * mean(int8):.2f}" if int8 else "–",
                      " ".join(f"{100 * a:.2f}" for a in (int8 or [r["float_accuracy"] for r in own])),
                      " / ".join(f"{max(u[k] for u in use):.3f}" for k in ("ram", "flash", "latency")) if use else "–",
                      round(mean(map(_cpu, own))), round(mean(r["samples"] for r in own)),
                      " ".join(str(r["facts"]["returned_channels"]) for r in own if "returned_channels" in r["facts"]),
                      ARMS[arm].note])
    return markdown(["arm", "float %", "int8 %", "per seed", "RAM / flash / latency", "CPU s", "samples", "returned",
                     "what it is"], table)


def _expected(rows: Rows) -> str:
    """Each expectation with its figures: held or failed; gates hold for every run or fail."""
    pruned = [r for r in rows if "exported_use" in r]
    lines = []

    def say(what: str, held: bool) -> None:
        lines.append(f"- {'held' if held else '**failed**'}: {what}")

    most = max((max(r["exported_use"].values()) for r in pruned), default=0.0)
    if pruned:
        say(f"every exported model holds every budget (largest use {most:.4f})", most <= 1)
        ours = [r for r in pruned if r["arm"] in ("diffprune", "smcp")]
        tight = [sum(v >= 0.95 for v in r["use"].values()) for r in ours]
        if ours:
            say(f"diffprune and smcp use at least two budgets within 5 % (budgets used so: {tight})", min(tight) >= 2)
    for better, worse, margin in (("diffprune", "uniform", 1.0), ("diffprune", "macs", 0.0), ("diffprune", "greedy", 0.0),
                                  ("diffprune", "torch-pruning-l2", 0.0), ("diffprune", "torch-pruning-taylor", 0.0),
                                  ("distilled", "diffprune", 0.0), ("smcp", "smcp-permanent", 0.0),
                                  ("smcp", "smcp-hard", 0.0)):
        a, b = _both(rows, better, worse)
        if a:
            gain = 100 * (mean(r["int8_accuracy"] for r in a) - mean(r["int8_accuracy"] for r in b))
            say(f"{better} beats {worse} by at least {margin:g} points: {gain:+.2f} (int8, {len(a)} seeds)", gain >= margin)
    for arm, other, share in (("diffprune", "dense", 1.0), ("diffprune", "unsliced", 0.8)):
        a, b = _both(rows, arm, other)
        if a:
            ratio = sum(map(_cpu, a)) / sum(map(_cpu, b))
            say(f"{arm} takes less than {share:g}x the CPU seconds of {other}: {ratio:.2f}x", ratio < share)
    if any("returned_channels" in r["facts"] for r in rows if r["arm"] == A16[0]):
        counts = [r["facts"]["returned_channels"] for r in _of(rows, A16[0])]
        say(f"pruned channels return under soft masks: {counts}", min(counts) > 0)
    return "\n".join(lines) + "\n"


def _both(rows: Rows, one: str, other: str) -> tuple[Rows, Rows]:
    """The runs of two arms, of the seeds that both have."""
    seeds = {r["seed"] for r in _of(rows, one)} & {r["seed"] for r in _of(rows, other)}
    return tuple([r for r in _of(rows, arm) if r["seed"] in seeds] for arm in (one, other))


def _picture(rows: Rows) -> str:
    """A row of dots per arm, one per seed, and a bar at their mean: int8 accuracy (float for the dense net)."""
    arms = _arms(rows)
    points = {arm: [100 * r.get("int8_accuracy", r["float_accuracy"]) for r in _of(rows, arm)] for arm in arms}
    values = [v for found in points.values() for v in found]
    low, high = min(values), max(values)
    pad = 0.05 * (high - low) or 1.0
    left, right, row, width = 170, 30, 26, 640
    height = row * len(arms) + 50

    def x(value: float) -> float:
        return left + (width - left - right) * (value - low + pad) / (high - low + 2 * pad)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
             'font-size="12"><rect width="100%" height="100%" fill="#fff"/>']
    for k in range(5):
        tick = low + (high - low) * k / 4
        parts.append(f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="10" y2="{height - 40}" stroke="#ddd"/>'
                     f'<text x="{x(tick):.1f}" y="{height - 24}" text-anchor="middle">{tick:.1f}</text>')
    for n, arm in enumerate(arms):
        y, centre = 10 + row * (n + 0.5), mean(points[arm])
        parts.append(f'<text x="{left - 10}" y="{y + 4:.1f}" text-anchor="end">{escape(arm)}</text>'
                     f'<line x1="{x(centre):.1f}" x2="{x(centre):.1f}" y1="{y - 9:.1f}" y2="{y + 9:.1f}" '
                     f'stroke="#b03a2e" stroke-width="3"><title>mean {centre:.2f} %</title></line>')
        parts += [f'<circle cx="{x(v):.1f}" cy="{y:.1f}" r="4" fill="#1f5f99" fill-opacity="0.6"><title>{v:.2f} %</title>'
                  "</circle>" for v in points[arm]]
    parts.append(f'<text x="{(left + width) / 2:.0f}" y="{height - 6}" text-anchor="middle">test accuracy, % (bar: mean of '
                 "seeds)</text></svg>\n")
    return "".join(parts)
