# SPDX-License-Identifier: Apache-2.0
"""Comparison of building blocks (pruning-methods.md section 7, A10): does their order depend on board and resource?

Equally many random networks of each block, spread over the same range of cycles on the first board, one short recipe for
all. Fronts of validation accuracy over exact RAM, flash and modelled cycles, per board, with bootstrap intervals. Each seed
draws its own networks; the verdict is about all of them. What the costs are worth is shown in QEMU.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from html import escape
from itertools import combinations, permutations
from math import log
from pathlib import Path
from typing import Any

import numpy as np

from mcunas.api import build
from mcunas.board import Board
from mcunas.device import validate
from mcunas.device.validate import is_promised
from mcunas.graph import write_tflite
from mcunas.search.blockbench.compare import compare
from mcunas.search.blockbench.fronts import LEVEL, envelope
from mcunas.search.blockbench.verdict import AXES, verdict
from mcunas.space import Genotype
from mcunas.space.price import graph_of
from mcunas.tasks import Schedule
from tests.bench import nas_contest as contest
from tests.bench.kept import TimeUp, row_of
from tests.bench.measure import markdown
from tests.bench.nas_report import Rows, say

BOARDS = ("mps2-an386", "mps2-an385-m0plus", "mps3-an547")
BLOCKS = ("conv3x3", "ds3", "mb3_e3", "ghost")
NETS, EPOCHS = 8, 3         # of each block and seed
CYCLES = (0.4e6, 4e6)       # on the first board
SCHEDULE = Schedule(finetune_epochs=EPOCHS, batch=64, rate=0.05, epoch_samples=2_000)
INPUTS = 5                  # random ones, in QEMU
_COLOURS = ("#1f5f99", "#b03a2e", "#2e7d4f", "#8a5a00", "#6a3d9a")


def measure(folder: Path, seeds: list[int], quick: bool, stop: Callable[..., None]) -> dict[str, Any]:
    """The verdict about the networks of all seeds, its rows, and "proofs": one per block and board."""
    schedule = Schedule(finetune_epochs=1, batch=64, rate=0.05, epoch_samples=640) if quick else SCHEDULE
    boards = [Board.load(key) for key in (BOARDS[:2] if quick else BOARDS)]
    found: Rows = []
    for seed in seeds:
        of_seed = compare(contest.fashion_mnist(), boards, BLOCKS[:3] if quick else BLOCKS, folder / f"nets-{seed}",
                          4 if quick else NETS, CYCLES, schedule, seed, progress=stop)
        found += [{**row, "seed": seed} for row in of_seed["rows"]]
        print(f"seed {seed}: {of_seed['cpu_seconds']:.0f} CPU s of training", flush=True)
    proofs = []
    for block in dict.fromkeys(r["block"] for r in found):
        row = max((r for r in found if r["block"] == block and r["seed"] == seeds[0]), key=lambda r: r["accuracy"])
        for board in boards:
            stop()
            out = folder / f"proof-{block}-{board.key}"
            proofs.append(row_of(out, {"genotype": row["genotype"]}, partial(_proven, row, board, out), block=block,
                                 board=board.key))
    if None in proofs:
        raise TimeUp
    return {**verdict(found), "rows": found, "proofs": proofs, "samples": sum(r["samples"] for r in found),
            "cpu_seconds": sum(r["cpu_seconds"] for r in found)}


def _proven(row: dict[str, Any], board: Board, out: Path) -> dict[str, Any]:
    """The network as firmware, with dummy weights: RAM that is used, bytes that differ, the costs that it was given."""
    genotype = Genotype.of_fields(row["genotype"])
    height, width, depth = genotype.input_shape
    out.mkdir(parents=True, exist_ok=True)
    (out / "model.tflite").write_bytes(write_tflite(graph_of(genotype.build_dense(), (height, width), depth)))
    report = validate(build(out / "model.tflite", board, out / "firmware"), n_random=INPUTS)
    return {"mismatches": report.mismatches, "inputs": report.inputs, "ram_bytes": report.measured.ram_bytes,
            "promised": row["costs"][board.key]}


def report(found: dict[str, Any]) -> tuple[str, dict[str, str]]:
    count = next(iter(found["networks"].values()))
    text = ["# Building blocks, compared before any search\n",
            f"Fashion-MNIST ({contest.TRAINING_IMAGES:,} training images). {count} networks of each block, {NETS} per seed, "
            f"{found['samples']:,} training samples and {found['cpu_seconds']:,.0f} CPU seconds in all; accuracy is that on "
            f"{contest.VALIDATION_IMAGES:,} validation images, float, after {EPOCHS} short epochs. Figures: mean "
            "accuracy of the front above the worst network, in points, over log-cost where all have networks; in brackets "
            f"the {100 * LEVEL:.0f} % bootstrap interval, which lies low: no draw has a better best; then the share "
            "of draws in which the block is first.\n"]
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
    axes = {f"{b} {a}": axis for b, said in found["boards"].items() for a, axis in said["axes"].items() if axis["order"]}
    shown = "; ".join(f"{key}: {' > '.join(axis['order'])}" for key, axis in axes.items())
    different = len({tuple(axis["order"]) for axis in axes.values()}) > 1
    turned = _reversals(axes, list(found["networks"]))
    kept = {b: len(said["blocks"]) for b, said in found["boards"].items()}
    proofs = found["proofs"]
    wrong = sum(p["mismatches"] for p in proofs)
    ram_off = sum(not is_promised(p["ram_bytes"], p["promised"]["ram_bytes"]) for p in proofs)
    return [say(f"the order of the blocks differs between boards or resources ({shown})", different),
            say(f"two blocks change places, by intervals that do not overlap here nor there ({'; '.join(turned) or 'none'})",
                bool(turned)),
            say(f"the verdict leaves blocks out on some board ({', '.join(f'{b}: {n} stay' for b, n in kept.items())})",
                min(kept.values()) < len(found["networks"])),
            say(f"the most accurate network of each block, as firmware for each board with dummy weights: in QEMU {wrong} "
                f"output bytes of {sum(p['inputs'] for p in proofs)} inputs differ from tflite-micro's, and the arena is "
                f"not the promised one in {ram_off} of {len(proofs)}", not ram_off and not wrong)]


def _reversals(axes: dict[str, dict[str, Any]], blocks: list[str]) -> list[str]:
    """Per pair of blocks, one pair of (board, resource) where intervals say one order here and the other there."""
    def is_above(key: str, one: str, other: str) -> bool:
        volumes = axes[key]["hypervolume"]
        return volumes[one][1] > volumes[other][2]

    found = []
    for one, other in combinations(blocks, 2):
        for here, there in permutations(axes, 2):
            if is_above(here, one, other) and is_above(there, other, one):
                found.append(f"{one} is above {other} in {here}, below it in {there}")
                break
    return found


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
