# SPDX-License-Identifier: Apache-2.0
"""Comparison of building blocks (pruning-methods.md section 7, A10): does their order depend on board and resource?

Equally many random networks of each block, spread over the same range of cycles on the first board, one short recipe for
all. Fronts of validation accuracy over exact RAM, flash and modelled cycles, per board, with bootstrap intervals.
"""
from __future__ import annotations

from collections.abc import Callable
from html import escape
from math import log
from pathlib import Path
from typing import Any

import numpy as np

from mcunas.board import Board
from mcunas.search.blockbench.compare import compare
from mcunas.search.blockbench.fronts import LEVEL, envelope
from mcunas.search.blockbench.verdict import AXES
from mcunas.tasks import Schedule
from tests.bench import nas_contest as contest
from tests.bench.measure import markdown
from tests.bench.nas_report import say

BOARDS = ("mps2-an386", "mps2-an385-m0plus", "mps3-an547")
BLOCKS = ("conv3x3", "ds3", "mb3_e3", "ghost", "linear3x3")
NETS, EPOCHS = 24, 3
CYCLES = (0.5e6, 8e6)       # on the first board
SCHEDULE = Schedule(finetune_epochs=EPOCHS, batch=64, rate=0.05, epoch_samples=6_000)
_COLOURS = ("#1f5f99", "#b03a2e", "#2e7d4f", "#8a5a00", "#6a3d9a")


def measure(folder: Path, seeds: list[int], quick: bool, stop: Callable[..., None]) -> dict[str, Any]:
    """The verdict and its rows, of the first seed: networks differ, seeds are not repeated."""
    schedule = Schedule(finetune_epochs=1, batch=64, rate=0.05, epoch_samples=640) if quick else SCHEDULE
    boards = [Board.load(key) for key in (BOARDS[:2] if quick else BOARDS)]
    return compare(contest.fashion_mnist(), boards, BLOCKS[:3] if quick else BLOCKS, folder / "nets", 4 if quick else NETS,
                   CYCLES, schedule, seeds[0], progress=stop)


def report(found: dict[str, Any]) -> tuple[str, dict[str, str]]:
    count = next(iter(found["networks"].values()))
    text = ["# Building blocks, compared before any search\n",
            f"Fashion-MNIST ({contest.TRAINING_IMAGES:,} training images). {count} networks of each block, "
            f"{found['samples']:,} training samples and {found['cpu_seconds']:,.0f} CPU seconds in all. Figures: mean "
            "accuracy of the front above the worst network, in points, over log-cost where all have networks; in brackets "
            f"the {100 * LEVEL:.0f} % bootstrap interval; then the share of draws in which the block is first.\n"]
    for board, said in found["boards"].items():
        lines = [[block, *(_cell(axis, block) for axis in said["axes"].values())] for block in found["networks"]]
        text += [f"## {board}\n", markdown(["block", *said["axes"]], lines),
                 f"Worth a search: {', '.join(said['blocks'])}.\n", f"![fronts](structure-blockbench-{board}.svg)\n"]
    text += ["## Expectations\n", "\n".join(_expected(found)) + "\n"]
    return "\n".join(text), {f"structure-blockbench-{b}.svg": _picture(found, b) for b in found["boards"]}


def _cell(axis: dict[str, Any], block: str) -> str:
    if not axis["order"]:
        return "no shared range"
    value, low, high = (100 * v for v in axis["hypervolume"][block])
    return f"{value:.2f} ({low:.2f} .. {high:.2f}); {axis['first'][block]:.2f}"


def _expected(found: dict[str, Any]) -> list[str]:
    orders = {(b, a): axis["order"] for b, said in found["boards"].items() for a, axis in said["axes"].items()
              if axis["order"]}
    firsts = {key: order[0] for key, order in orders.items()}
    clear = {key: _is_clear(found["boards"][key[0]]["axes"][key[1]]) for key in orders}
    shown = "; ".join(f"{b} {a}: {' > '.join(order)}" for (b, a), order in orders.items())
    different = len({tuple(o) for o in orders.values()}) > 1
    reliable = len({firsts[key] for key in orders if clear[key]}) > 1
    return [say(f"the order of the blocks differs between boards or resources ({shown})", different),
            say("another block is first, with intervals that do not overlap, on at least two of them", reliable)]


def _is_clear(axis: dict[str, Any]) -> bool:
    """Whether the first block's interval lies above the second's."""
    first, second = (axis["hypervolume"][b] for b in axis["order"][:2])
    return first[1] > second[2]


def _picture(found: dict[str, Any], board: str) -> str:
    """One panel per resource: networks as dots, fronts as steps; accuracy upwards, cost in logarithm."""
    width, height, gap, blocks = 260, 240, 50, list(found["networks"])
    accuracy = [r["accuracy"] for r in found["rows"]]
    low_y, high_y = min(accuracy), max(accuracy)
    parts = []
    for panel, (axis, figure) in enumerate(AXES.items()):
        costs = [r["costs"][board][figure] for r in found["rows"]]
        low, high, left = log(min(costs)), log(max(costs)), gap + panel * (width + gap)

        def place(c: float, a: float, low: float = low, high: float = high, left: int = left) -> tuple[float, float]:
            return (left + width * (log(c) - low) / max(high - low, 1e-9),
                    height - (height - 20) * (a - low_y) / max(high_y - low_y, 1e-9))

        parts.append(f'<text x="{left + width / 2}" y="{height + 32}" text-anchor="middle">{axis}: {min(costs):,.0f} .. '
                     f'{max(costs):,.0f}</text><rect x="{left}" y="20" width="{width}" height="{height - 20}" fill="none" '
                     'stroke="#bbb"/>')
        for k, block in enumerate(blocks):
            own = [(float(r["costs"][board][figure]), r["accuracy"]) for r in found["rows"] if r["block"] == block]
            colour = _COLOURS[k % len(_COLOURS)]
            parts += [f'<circle cx="{u:.1f}" cy="{v:.1f}" r="2.5" fill="{colour}" fill-opacity="0.5"/>'
                      for u, v in (place(*point) for point in own)]
            front = envelope(*map(np.array, zip(*own)))
            path = [place(*front[0])]
            for point, before in zip(front[1:], front):
                path += [place(point[0], before[1]), place(*point)]
            path.append((left + width, path[-1][1]))
            line = " ".join(f"{u:.1f},{v:.1f}" for u, v in path)
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    for k, block in enumerate(blocks):
        parts.append(f'<text x="{gap + 110 * k}" y="12" fill="{_COLOURS[k % len(_COLOURS)]}">{escape(block)}</text>')
    size = f"0 0 {gap + 3 * (width + gap)} {height + 44}"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" font-family="sans-serif" font-size="12">'
            f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n')
