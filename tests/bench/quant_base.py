# SPDX-License-Identifier: Apache-2.0
"""What the experiments with bits share: the net, its training, a model measured as int8 or int4 and in QEMU."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from functools import cache
from html import escape
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import nn

from mcunas.api import build
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.compiler.lower import lower
from mcunas.compiler.select import table_bytes
from mcunas.cost import estimate
from mcunas.device import validate
from mcunas.device.alone import simulated
from mcunas.graph import Graph, read_tflite
from mcunas.graph.nibbles import with_int4
from mcunas.quantize import quantize
from mcunas.quantize.choose import Precision
from mcunas.search import search
from mcunas.search.result import Result
from mcunas.space.layers import conv_norm
from mcunas.space.price import graph_of
from mcunas.tasks import Schedule, Task
from tests.bench import nas_contest as contest
from tests.bench.nas_report import Rows

BOARDS = (contest.M4, contest.M0PLUS)
SCHEDULE = Schedule(prune_epochs=0, finetune_epochs=12, qat_epochs=2, warmup_epochs=1, batch=64, rate=0.05,
                    epoch_samples=6_000)
TASK = f"{__name__}:fashion_mnist"
VALIDATION_IMAGES = 500     # nothing is chosen by them; each is a run of TFLite Micro
INPUTS = 3          # random ones, in QEMU
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


class Net(nn.Module):
    """Two 3x3 convolutions of stride 2, one without, a depthwise and pointwise one, a large 3x3, a 1x1, mean, linear."""

    def __init__(self, share: float = 1.0) -> None:
        super().__init__()
        a, b, c = (max(round(share * width), 4) for width in (16, 32, 64))
        layers: list[nn.Module] = []
        for inputs, outputs, kernel, stride, size, groups in (
                (1, a, 3, 2, 28, 1), (a, b, 3, 2, 14, 1), (b, b, 3, 1, 7, 1), (b, b, 3, 2, 7, b), (b, c, 1, 1, 4, 1),
                (c, c, 3, 1, 4, 1), (c, c, 1, 1, 4, 1)):
            layers += [*conv_norm(inputs, outputs, (kernel,) * 2, (stride,) * 2, (size,) * 2, groups=groups), nn.ReLU()]
        self.layers, self.head = nn.Sequential(*layers), nn.Linear(c, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(x).mean((2, 3)))


def fashion_mnist() -> Task:
    task = contest.fashion_mnist()
    return replace(task, validation=task.validation[:VALIDATION_IMAGES])


def base() -> nn.Module:
    return Net()


def stored_bytes(graph: Graph, board: Board) -> int:
    """Of the tables of the layers with weights: packed weights, biases, requantization."""
    return sum(table_bytes(lower(graph, op, board.isa)) for op in graph.ops if op.kind in WEIGHTED)


@cache
def share_for(part: float, is_int4: bool = False) -> float:
    """The widest net, by hundredths, whose tables, with int8 weights or int4, are at most this part of the whole net's in
    int8."""
    board = Board.load(contest.M4)

    def stored(share: float, is_int4: bool) -> int:
        graph = graph_of(Net(share), (28, 28), 1)
        short = [i for i, op in enumerate(graph.ops) if op.kind in WEIGHTED and is_int4]
        return stored_bytes(with_int4(graph, short), board)

    limit = part * stored(1.0, False)
    return next(share for n in range(100, 0, -1) if stored(share := n / 100, is_int4) <= limit)


def narrowed_60() -> nn.Module:
    return Net(share_for(0.6))


def narrowed_25_int4() -> nn.Module:
    return Net(share_for(0.25, is_int4=True))


def narrowed_25() -> nn.Module:
    return Net(share_for(0.25))


def schedule_for(quick: bool) -> Schedule:
    return replace(SCHEDULE, finetune_epochs=1, qat_epochs=1, epoch_samples=640, measured_images=100) if quick else SCHEDULE


def asked(quick: bool) -> dict[str, Any]:
    """What a row is good for."""
    return {"quick": quick, "schedule": asdict(schedule_for(quick))}


def trained(start: str, seed: int, quick: bool, out: Path, stop: Callable[..., None]) -> Result:
    """A net of this module from scratch, without a budget."""
    return search(TASK, Board.load(contest.M4), Budget(), "scratch", out, seed, start=f"{__name__}:{start}",
                  schedule=schedule_for(quick), progress=stop)


def measured(result: Result, out: Path, precision: Precision, stop: Callable[..., None],
             boards: Iterable[str] = (contest.M4,)) -> dict[str, Any]:
    """Trained for the precision in a folder of its own, measured on the test images, built and run on the boards."""
    out.mkdir(parents=True, exist_ok=True)
    model = quantize(replace(result, out=out), progress=stop, precision=precision)
    return {"int8_accuracy": model.metrics["int8_accuracy"], "float_accuracy": result.metrics["float_accuracy"],
            "validation_accuracy": model.metrics["int8_validation_accuracy"],
            "test_images": model.metrics["test_images"], "bits": dict(precision.bits),
            "cpu_seconds": model.metrics["ledger"]["cpu_seconds"], **figures(out / "model.tflite", out, boards)}


def figures(path: Path, out: Path, boards: Iterable[str]) -> dict[str, Any]:
    """Bytes of the model; exact instructions and mismatches in QEMU, by board."""
    graph, first = read_tflite(path), Board.load(contest.M4)
    exact = estimate(graph, first, simulator=simulated)
    found: dict[str, Any] = {"stored_bytes": stored_bytes(graph, first), "flash_bytes": exact.flash_bytes,
                             "ram_bytes": exact.ram_bytes, "macs": exact.macs, "mismatches": 0, "instructions": {}}
    for key in boards:
        report = validate(build(path, Board.load(key), out / f"firmware-{key}"), n_random=INPUTS)
        found["mismatches"] += report.mismatches
        found["instructions"][key] = report.measured.instructions
    return found


def dots(points: Mapping[str, list[float]], axis: str) -> str:
    """SVG: a row of dots per arm, a value per seed, and a bar at the mean."""
    left, width, row = 150, 420, 24
    values = [v for found in points.values() for v in found]
    low, high = min(values) - 0.1, max(values) + 0.1

    def x(value: float) -> float:
        return left + width * (value - low) / (high - low)

    height = row * len(points) + 40
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 20} {height}" '
             'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>']
    for k, (name, found) in enumerate(points.items()):
        y = row * k + 18
        parts.append(f'<text x="{left - 10}" y="{y + 4}" text-anchor="end">{escape(name)}</text>')
        parts += [f'<circle cx="{x(v):.1f}" cy="{y}" r="4" fill="#1f5f99" fill-opacity="0.6"/>' for v in found]
        parts.append(f'<line x1="{x(mean(found)):.1f}" x2="{x(mean(found)):.1f}" y1="{y - 8}" y2="{y + 8}" '
                     'stroke="#b03a2e" stroke-width="2.5"/>')
    for k in range(5):
        at = low + (high - low) * k / 4
        parts.append(f'<text x="{x(at):.1f}" y="{height - 18}" text-anchor="middle">{at:.1f}</text>')
    parts.append(f'<text x="{left + width / 2}" y="{height - 3}" text-anchor="middle">{escape(axis)}</text>')
    return "".join(parts) + "</svg>\n"


def mismatches(rows: Rows) -> str:
    wrong = sum(r["mismatches"] for r in rows)
    return f"- {wrong} mismatching outputs in QEMU against TFLite Micro, {INPUTS} random inputs per model and board"
