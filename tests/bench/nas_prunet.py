# SPDX-License-Identifier: Apache-2.0
"""PruNet (nas-methods.md, paper 1): a width searched at constant memory; fewer option forwards when the supernet shrinks.

The known-width task (nas_prunet_width.py) is measured in `extra`, a file per teacher and seed; the arms are the contest's.
"""
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from tests.bench.measure import markdown
from tests.bench.nas import Arm
from tests.bench.nas_prunet_width import GRID, TEACHERS, run, saved_bytes
from tests.bench.nas_report import Rows, baselines, beats, both, gates, of, picture, say, table, words

ARMS = {
    "prunet": Arm("prunet", note="widths, options and layers go while the search runs"),
    "full": Arm("prunet", {"options": False, "layers": False}, note="widths only: all options stay to the end"),
    "narrow": Arm("prunet", {"widths": False}, note="options and layers only: inner widths stay as they are"),
}
SEEDS, SIZES = (0, 1), (2, 4, 8, 16)
MOST_REGRET, FLAT, LEAST_CUT = 0.10, 0.05, 0.30


def extra(folder: Path, quick: bool, stop: Callable[[], None]) -> dict[str, Any]:
    torch.set_num_threads(1)
    rows = []
    for number, (teacher, seed) in enumerate((t, s) for s in SEEDS for t in TEACHERS):
        kept = folder / f"width-{teacher}-{seed}.json"
        if not kept.exists():
            if quick and number:
                break
            stop()
            kept.write_text(json.dumps(run(teacher, seed, number), indent=1) + "\n")
        rows.append(json.loads(kept.read_text()))
    return {"widths": rows, "saved_bytes": [saved_bytes(n) for n in SIZES]}


def report(rows: Rows, extra: dict[str, Any]) -> tuple[str, dict[str, str]]:
    others, notes = baselines()
    everything = [*rows, *others]
    text = ["# PruNet: a supernet that shrinks\n", words("prunet"), "",
            table(everything, {**{n: a.note for n, a in ARMS.items()}, **notes}),
            "## What was left\n", _left(rows)]
    if extra:
        text += ["## A width at constant memory\n", _width_words(), "", _widths(extra), _bytes(extra)]
    text += ["## Expectations\n", "\n".join([*gates(rows), *_expected(everything), *_expected_widths(extra)]) + "\n",
             "![accuracy over latency](nas-prunet.svg)\n"]
    return "\n".join(text), {"nas-prunet.svg": picture(everything, [*ARMS, *notes])}


def _left(rows: Rows) -> str:
    lines = [[r["arm"], r["seed"], " ".join(r["choices"].values()),
              " ".join(f"{slot}: {w}" for slot, w in r["facts"]["inner_widths"].items()) or "none",
              r["facts"].get("narrowed_to", "repaired"), sum(map(len, r["facts"]["options_left"].values())),
              " ".join(f"{f['kernel']} {f['flash_bytes']} B" for f in r["facts"]["freed"]) or "none"]
             for arm in ARMS for r in of(rows, arm) if "options_left" in r["facts"]]
    return markdown(["arm", "seed", "options in order", "inner widths found", "narrowed to", "options left",
                     "kernels freed, with their flash"], lines)


def _width_words() -> str:
    return (f"A random ReLU teacher of hidden width h*; objective: validation MSE + lambda * width. Regret: of the width "
            f"found, trained anew, over the best of {len(GRID)} widths trained alike. Rest after a move, thresholds and "
            "rates were set on other teachers (seeds 10 to 12). Placebo: theta follows noise of its gradient's size.")


def _widths(extra: dict[str, Any]) -> str:
    lines = [[r["teacher"], r["seed"], r["lambda"], r["widest"], r["best"], r["bipath"]["width"],
              f"{100 * r['bipath']['regret']:.1f} %", r["placebo"]["width"], f"{100 * r['placebo']['regret']:.1f} %",
              f"{r['bipath']['samples'] / r['grid_samples']:.2f}", f"{r['bipath']['seconds']:.1f} / {r['grid_seconds']:.1f}"]
             for r in extra["widths"] if "error" not in r]
    return markdown(["h*", "seed", "lambda", "start", "best of grid", "found", "regret", "placebo's", "its regret",
                     "samples over grid's", "CPU s, grid's"], lines)


def _bytes(extra: dict[str, Any]) -> str:
    return markdown(["widths to choose from", "bytes saved for backward, bi-path", "mixture of all"],
                    [[k["sizes"], k["bipath"], k["mixture"]] for k in extra["saved_bytes"]])


def _expected(rows: Rows) -> list[str]:
    lines, (shrunk, full) = [], both(rows, "prunet", "full")
    if shrunk:
        cuts = [1 - a["option_forwards"] / b["option_forwards"] for a, b in zip(shrunk, full)]
        lines.append(say(f"option forwards fall by {100 * mean(cuts):.0f} % with options and layers going (at least "
                         f"{100 * LEAST_CUT:.0f} %)", mean(cuts) >= LEAST_CUT))
        lines += _within(shrunk, full)
    for r in of(rows, "prunet"):
        left = sum(map(len, r["facts"]["options_left"].values()))
        lines.append(say(f"seed {r['seed']} ends with one option per slot ({left} of {len(r['choices'])})",
                         left == len(r["choices"])))
    return lines + beats(rows, "prunet", "random") + beats(rows, "prunet", "narrow")


def _within(shrunk: Rows, full: Rows) -> list[str]:
    if len(shrunk) < 2:
        return []
    a, b = ([100 * r["int8_accuracy"] for r in own] for own in (shrunk, full))
    sigma = (stdev(a) ** 2 + stdev(b) ** 2) ** 0.5
    return [say(f"accuracy within one sigma: {mean(a) - mean(b):+.2f} points, sigma of a difference {sigma:.2f}",
                mean(a) - mean(b) >= -sigma)]


def _expected_widths(extra: dict[str, Any]) -> list[str]:
    asked = extra.get("widths", [])
    rows = [r for r in asked if "error" not in r]
    out = [f"- not counted: teacher of h* = {r['teacher']}, seed {r['seed']}: {r['error']}" for r in asked if "error" in r]
    if not rows:
        return out
    good, drawn = (sum(r[arm]["regret"] <= MOST_REGRET for r in rows) for arm in ("bipath", "placebo"))
    sizes = [k["bipath"] for k in extra["saved_bytes"] if k["sizes"] > 2]
    spent, grid = (sum(s) for s in zip(*((r["bipath"]["seconds"], r["grid_seconds"]) for r in rows)))
    return [*out, say(f"regret of the width found at most {100 * MOST_REGRET:.0f} % in {good} of {len(rows)} runs (5 of 6)",
                good * 6 >= 5 * len(rows)),
            say(f"the placebo fails that ({drawn} of {len(rows)})", drawn * 6 < 5 * len(rows)),
            say(f"saved bytes vary by {100 * (max(sizes) / min(sizes) - 1):.1f} % over {SIZES[1:]} widths (of two only, "
                "the narrower is narrower than a step)", max(sizes) <= (1 + FLAT) * min(sizes)),
            say(f"CPU seconds {spent:.0f}, of the grid {grid:.0f}", spent < grid)]
