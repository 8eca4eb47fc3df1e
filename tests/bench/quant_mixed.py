# SPDX-License-Identifier: Apache-2.0
"""Mixed precision (pruning-methods.md section 4, A19): which layers get int4 weights, at 60 % of the int8 model's bytes.

One float net per seed, then arms that differ in the layers' bits only, trained for them alike: by curvature, by measured
loss, by gradient, at random, uniform int4, int8 in the first and last layer. Against them the real competitor: a narrower
net in int8 of the same bytes, trained as long from scratch. Bytes are those that are stored: packed weights, biases,
requantization tables; code comes on top and is in the table.
"""
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch

from mcunas import tasks
from mcunas.board import Board
from mcunas.prune.knapsack import solve
from mcunas.quantize.choose import Precision, layers_of, sensitivity_of
from mcunas.quantize.driver import CALIBRATION_IMAGES
from mcunas.quantize.precision import Layer
from mcunas.quantize.qat import FakeQuantized
from mcunas.search.result import Result
from tests.bench import quant_base as bench
from tests.bench.kept import ROW, row_of
from tests.bench.measure import markdown
from tests.bench.nas_contest import M4
from tests.bench.nas_report import Rows, of, percent, say

SHARE = 0.6
RANDOM = 4                  # allocations per seed
_BY = {"hessian": "knapsack by the Hessian's trace", "loss": "knapsack by measured loss", "gradient": "bits by gradient"}
NOTES = {"int8": "int8 throughout", **_BY, "random": f"at random, {RANDOM} a seed", "int4": "int4 throughout",
         "first-last": "int8 in the first and the last layer, int4 between",
         "narrow": "int8, a narrower net of the same bytes, from scratch"}


def measure(folder: Path, seeds: list[int], quick: bool, stop: Callable[..., None]) -> dict[str, Any]:
    for seed in seeds:
        result = bench.trained("base", seed, quick, folder / f"base-{seed}", stop)
        bits = _allocations(result, folder / f"bits-{seed}.json")
        for name, chosen in bits.items():
            _row(folder, name, seed, quick, stop, lambda out, net=result, bits=chosen: bench.measured(
                net, out, Precision(bits=bits), stop))
        _row(folder, "narrow", seed, quick, stop, lambda out, seed=seed: bench.measured(
            bench.trained("narrowed_60", seed, quick, folder / f"narrow-base-{seed}", stop), out, Precision(), stop))
    return kept(folder, seeds)


def _row(folder: Path, name: str, seed: int, quick: bool, stop: Callable[..., None],
         run: Callable[[Path], dict[str, Any]]) -> None:
    stop()
    out = folder / f"{name}-{seed}"
    arm = "random" if name.startswith("random") else name
    row = row_of(out, bench.asked(quick), lambda: run(out), arm=arm, allocation=name, seed=seed)
    if row:
        print(f"{name} {seed}: {row['int8_accuracy']:.4f}, {row['stored_bytes']} B stored, {row['mismatches']} mismatches",
              flush=True)


def _allocations(result: Result, path: Path) -> dict[str, dict[str, int]]:
    """arm -> module path -> bits; kept, because learning bits takes a while."""
    if path.exists():
        return json.loads(path.read_text())
    task, board = tasks.load(result.task), Board.load(M4)
    images = torch.from_numpy(task.real(task.train.images[:CALIBRATION_IMAGES]))

    def fresh() -> FakeQuantized:
        return FakeQuantized(result.model, images, task.input_quant, task.name)

    graph, layers = layers_of(fresh(), board)
    limit = int(SHARE * bench.stored_bytes(graph, board))
    found = {"int8": {layer.path: 8 for layer in layers}, "int4": {layer.path: 4 for layer in layers}}
    found["first-last"] = found["int4"] | {layers[0].path: 8, layers[-1].path: 8}
    for by in _BY:
        torch.manual_seed(result.seed)
        loss = sensitivity_of(by, fresh(), layers, result, task, limit)
        found[by] = fitting(layers, [loss[layer.path] for layer in layers], limit)
    random = np.random.default_rng(result.seed)
    for n in range(RANDOM):
        found[f"random{n}"] = fitting(layers, list(random.random(len(layers)) * [layer.table_bytes[8] for layer in layers]),
                                      limit)
    path.write_text(json.dumps(found, indent=1) + "\n")
    return found


def fitting(layers: tuple[Layer, ...], loss: list[float], limit_bytes: int) -> dict[str, int]:
    """Bits of least summed loss whose tables take at most limit_bytes."""
    value = [np.array([0.0, -max(v, 1e-12)]) for v in loss]
    cost = [np.array([[layer.table_bytes[8] / limit_bytes], [layer.table_bytes[4] / limit_bytes]]) for layer in layers]
    chosen = solve(value, cost, np.ones(1))
    assert chosen is not None
    return {layer.path: (8, 4)[k] for layer, k in zip(layers, chosen)}


def kept(folder: Path, seeds: list[int]) -> dict[str, Any]:
    paths = [path for seed in seeds for path in sorted(folder.glob(f"*-{seed}/{ROW}"))]
    return {"rows": [json.loads(path.read_text()) for path in paths],
            "bits": {seed: json.loads(path.read_text()) for seed in seeds
                     if (path := folder / f"bits-{seed}.json").exists()}}


def report(found: dict[str, Any]) -> tuple[str, dict[str, str]]:
    rows: Rows = found["rows"]
    int8 = of(rows, "int8")
    lines = [[name, percent(own), " ".join(f"{100 * r['int8_accuracy']:.2f}" for r in own),
              f"{mean(r['stored_bytes'] for r in own):,.0f}",
              f"{mean(r['stored_bytes'] for r in own) / int8[0]['stored_bytes']:.1%}" if int8 else "",
              f"{mean(r['flash_bytes'] for r in own):,.0f}", f"{mean(r['instructions'][M4] for r in own):,.0f}", note]
             for name, note in NOTES.items() if (own := of(rows, name))]
    count = rows[0]["test_images"] if rows else 0
    text = ["# Mixed precision: which layers get int4 weights\n",
            f"{bench.contest.TRAINING_IMAGES:,} training images of Fashion-MNIST, {count:,} test images, {M4}. Every arm of "
            "a seed begins with the same float net; accuracy is that of the integer model by TFLite Micro. Stored: packed "
            "weights, biases, requantization tables. `python -m tests.bench.quant --paper mixed`\n",
            markdown(["arm", "test %", "runs", "stored B", "of int8", "flash B", "instructions", "what it is"], lines),
            "## Expectations\n", "\n".join([bench.mismatches(rows), *_expected(rows)]) + "\n"]
    points = {name: [100 * r["int8_accuracy"] for r in own] for name in NOTES if (own := of(rows, name))}
    if not points:
        return "\n".join(text), {}
    text.append("![test accuracy](quant-mixed.svg)\n")
    return "\n".join(text), {"quant-mixed.svg": bench.dots(points, "test accuracy, %")}


def _expected(rows: Rows) -> list[str]:
    score = {name: mean(100 * r["int8_accuracy"] for r in own) for name in NOTES if (own := of(rows, name))}
    lines = []
    for by in _BY:
        if by in score and "random" in score:
            gain = score[by] - score["random"]
            lines.append(say(f"{by}: {gain:+.2f} points against random allocations (>= +0.3)", gain >= 0.3))
        if by in score and "int4" in score:
            gain = score[by] - score["int4"]
            lines.append(say(f"{by}: {gain:+.2f} points against uniform int4 (>= 0)", gain >= 0))
        if by in score and "narrow" in score:
            lines.append(f"- {by}: {score[by] - score['narrow']:+.2f} points against int8 narrowed to the same bytes")
    own = [r for r in rows if r["arm"] in (*_BY, "random")]
    if own and of(rows, "int8"):
        largest = max(r["stored_bytes"] / of(rows, "int8")[0]["stored_bytes"] for r in own)
        lines.append(say(f"allocations take at most {largest:.1%} of the int8 bytes (<= {SHARE:.0%})", largest <= SHARE))
    return lines
