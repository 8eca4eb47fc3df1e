# SPDX-License-Identifier: Apache-2.0
"""What the reports of tests/bench/nas.py share: the table of arms, expectations with their figures, one picture."""
from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from statistics import mean, stdev
from typing import Any

from mcunas.device.validate import is_promised
from tests.bench import nas_contest as contest
from tests.bench.measure import RESULTS, markdown

Rows = list[dict[str, Any]]
# what was set so for each paper's methods; one run each, of seed 10
TUNED = {
    "fbnet": "Rate of alpha: 0.05 (88.8 % validation) rather than 0.1 (87.6 %).",
    "proxyless": "Rate 0.2 and four paths to a batch (88.1 %) rather than 0.1 and one (87.1 %).",
    "prunet": "Temperature, rate and expectation are fbnet's; nothing was tried.",
    "padnas": "Four paths to a batch (88.0 %) rather than one (84.7 %); fewer images and generations, to equal samples.",
    "rarts": "Nothing was tried.",
}
_COLOURS = ("#1f5f99", "#b03a2e", "#2e7d4f", "#8a5a00", "#6a3d9a", "#444444", "#008b8b", "#c2185b", "#7a8b00",
            "#3d5afe")


def words(paper: str, elsewhere: str = "") -> str:
    """What every arm of the contest is asked, and how to run it again. elsewhere: the budget of other boards."""
    shares = ", ".join(f"{what} that admits {share:g} of them" for what, share in contest.ADMITTED.items())
    return (f"Fashion-MNIST, {contest.TRAINING_IMAGES:,} training images, all 10,000 test images, read once per stage. "
            f"Space: {len(contest.space().slots)} slots, {len(contest.SPACE['options'])} options. Budget on {contest.M4}, "
            f"of networks drawn at random from the space: {shares}; and {contest.RAM_BYTES:,} B of RAM.{elsewhere} Every "
            "network is trained from scratch by one recipe, quantized, and run in QEMU on random inputs. Samples: images "
            "seen, search and training and quantization; option forwards: blocks of options run on an image while "
            "searching. CPU seconds: process time on one thread. "
            "Searches of a gradient end with a last stage that trains a few likely networks as random search trains its "
            "own, within the same samples. "
            f"`python -m tests.bench.nas --paper {paper}` goes on with what is missing.\n\n"
            "Chosen on validation accuracy of seed 10, which is none of these runs, in searches of ten epochs: space, share "
            "of networks that the budget admits, last stage. " + TUNED[paper])


def baselines() -> tuple[Rows, dict[str, str]]:
    """(rows, arm -> note) of random search and of one option always, where other experiments of this contest ran them."""
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for path in sorted(RESULTS.glob("nas-*.json")):
        for row in json.loads(path.read_text()).get("rows", ()):
            if row["arm"].split("-")[0] in ("random", "always") and row.get("board") == contest.M4:
                rows.setdefault((row["arm"], row["seed"]), {**row, "of": path.stem})
    return list(rows.values()), {arm: f"of {row['of']}.json" for (arm, _), row in rows.items()}


def of(rows: Rows, arm: str) -> Rows:
    return sorted((r for r in rows if r["arm"] == arm), key=lambda r: r["seed"])


def both(rows: Rows, one: str, other: str) -> tuple[Rows, Rows]:
    """The runs of two arms, of the seeds that both have."""
    seeds = {r["seed"] for r in of(rows, one)} & {r["seed"] for r in of(rows, other)}
    return tuple([r for r in of(rows, arm) if r["seed"] in seeds] for arm in (one, other))


def percent(rows: Rows, key: str = "int8_accuracy") -> str:
    """Mean, and standard deviation where there are several seeds."""
    values = [100 * r[key] for r in rows]
    return f"{mean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")


def table(rows: Rows, notes: Mapping[str, str]) -> str:
    """One line per arm of `notes` (arm -> what it is) that has runs."""
    lines = []
    for arm, note in notes.items():
        own = of(rows, arm)
        if not own:
            continue
        search = [sum(s for phase, s in r["cpu_seconds"].items() if phase in ("setup", "search", "choose")) for r in own]
        lines.append([arm, percent(own), " ".join(f"{100 * r['int8_accuracy']:.2f}" for r in own),
                      percent(own, "validation_accuracy"),
                      " / ".join(f"{max(r['exported_use'][k] for r in own):.3f}" for k in ("ram", "flash", "latency")),
                      sum(r["mismatches"] for r in own), round(mean(search)),
                      round(mean(sum(r["cpu_seconds"].values()) for r in own)), round(mean(r["samples"] for r in own)),
                      round(mean(r["option_forwards"] for r in own)), note])
    return markdown(["arm", "int8 %", "per seed", "validation %, float", "RAM / flash / latency", "mismatches",
                     "search CPU s", "all CPU s", "samples", "option forwards", "what it is"], lines)


def say(what: str, held: bool) -> str:
    """One expectation with its figures, whether it held or not."""
    return f"- {'held' if held else '**failed**'}: {what}"


def gates(rows: Rows) -> list[str]:
    """What must hold for every run of every experiment."""
    if not rows:
        return []
    most, bytes_off = max(max(r["exported_use"].values()) for r in rows), sum(r["mismatches"] for r in rows)
    inputs = sum(r["inputs"] for r in rows)
    ram_off = sum(not is_promised(r["measured_ram_bytes"], r["promised_ram_bytes"]) for r in rows)
    return [say(f"every exported network holds every budget (largest use {most:.4f})", most <= 1),
            say(f"in QEMU all output bytes are tflite-micro's ({bytes_off} differ; {inputs} inputs of {len(rows)} networks)",
                bytes_off == 0),
            say(f"the arena used on the target is the promised one ({ram_off} of {len(rows)} differ)", ram_off == 0)]


def beats(rows: Rows, better: str, worse: str) -> list[str]:
    a, b = both(rows, better, worse)
    if not a:
        return []
    gain = [100 * (x["int8_accuracy"] - y["int8_accuracy"]) for x, y in zip(a, b)]
    shown = " ".join(f"{g:+.2f}" for g in gain)
    return [say(f"{better} beats {worse}: {mean(gain):+.2f} points int8 (paired by seed: {shown})", mean(gain) > 0)]


def picture(rows: Rows, arms: list[str]) -> str:
    """Int8 test accuracy over the share of the latency budget that is used, a dot per run, a colour per arm."""
    arms = [arm for arm in arms if of(rows, arm)]
    points = [(r["exported_use"]["latency"], 100 * r["int8_accuracy"], arms.index(r["arm"]))
              for r in rows if r["arm"] in arms]
    if not points:
        return ""
    (left, top, width, height), right = (60, 14, 560, 330), 190
    xs, ys = [p[0] for p in points] + [1.0], [p[1] for p in points]
    low_x, high_x, low_y, high_y = min(xs) - 0.02, max(xs) + 0.02, min(ys) - 0.2, max(ys) + 0.2

    def x(v: float) -> float:
        return left + (width - left) * (v - low_x) / (high_x - low_x)

    def y(v: float) -> float:
        return height - (height - top) * (v - low_y) / (high_y - low_y)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + right} {height + 44}" '
             'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>']
    for k in range(5):
        at, up = low_x + (high_x - low_x) * k / 4, low_y + (high_y - low_y) * k / 4
        parts.append(f'<line x1="{left}" x2="{width}" y1="{y(up):.1f}" y2="{y(up):.1f}" stroke="#ddd"/>'
                     f'<text x="{left - 6}" y="{y(up) + 4:.1f}" text-anchor="end">{up:.1f}</text>'
                     f'<text x="{x(at):.1f}" y="{height + 16}" text-anchor="middle">{at:.2f}</text>')
    parts.append(f'<line x1="{x(1):.1f}" x2="{x(1):.1f}" y1="{top}" y2="{height}" stroke="#b03a2e" stroke-dasharray="4"/>'
                 f'<text x="{(left + width) / 2}" y="{height + 36}" text-anchor="middle">share of the latency budget; up: '
                 "int8 test accuracy, %</text>")
    for u, v, k in points:
        parts.append(f'<circle cx="{x(u):.1f}" cy="{y(v):.1f}" r="4.5" fill="{_COLOURS[k % len(_COLOURS)]}" '
                     f'fill-opacity="0.7"><title>{escape(arms[k])} {v:.2f} %</title></circle>')
    for k, arm in enumerate(arms):
        parts.append(f'<circle cx="{width + 16}" cy="{top + 18 * k + 6}" r="4.5" fill="{_COLOURS[k % len(_COLOURS)]}"/>'
                     f'<text x="{width + 28}" y="{top + 18 * k + 10}">{escape(arm)}</text>')
    return "".join(parts) + "</svg>\n"
