# SPDX-License-Identifier: Apache-2.0
"""What turns into speed (pruning-methods.md section 5, A8; Roth et al., arXiv 2001.03048): a net at a quarter of its bytes.

Structured: a narrower net in int8. Unstructured: the whole net with the smallest weights gone, stored with the places of
those that are left and computed by plain C that skips the others (quant_sparse.py). int4: as many bytes, by less
narrowing and half the bits. All train for the same epochs; bytes are those that are stored, places included; instructions
are those that QEMU executes, of the layers with weights for the sparse net and of the whole model for the others.
"""
from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from mcunas.board import Board
from mcunas.graph import Graph, write_tflite
from mcunas.quantize.choose import Precision
from mcunas.quantize.driver import CALIBRATION_IMAGES, FIRST_EPOCH
from mcunas.quantize.model import measures
from mcunas.quantize.qat import FakeQuantized
from mcunas.tasks.test_reads import open_test
from mcunas.tasks.training import batches, cosine, steps_per_epoch, train_epoch
from tests.bench import quant_base as bench
from tests.bench import quant_sparse as sparse
from tests.bench.kept import ROW, row_of
from tests.bench.measure import markdown
from tests.bench.nas_contest import M0PLUS, M4
from tests.bench.nas_report import Rows, of, percent, say

PART = 0.25
RAMP = (0.25, 0.75)         # of the float epochs, between which weights go
NOTES = {"dense": "int8, all of it", "structured": "int8, a narrower net, from scratch",
         "unstructured": "int8, the smallest weights gone", "int4": "int4, a net of twice the structured one's weights"}
Masks = list[tuple[nn.Parameter, torch.Tensor]]


def measure(folder: Path, seeds: list[int], quick: bool, stop: Callable[..., None]) -> dict[str, Any]:
    runs: dict[str, Callable[[Path, int], dict[str, Any]]] = {
        "dense": lambda out, seed: _plain("base", Precision(), out, seed, quick, stop),
        "structured": lambda out, seed: _plain("narrowed_25", Precision(), out, seed, quick, stop),
        "int4": lambda out, seed: _plain("narrowed_25_int4", Precision("int4"), out, seed, quick, stop),
        "unstructured": lambda out, seed: _unstructured(out, seed, quick, stop)}
    for seed in seeds:
        for name, run in runs.items():
            stop()
            out = folder / f"{name}-{seed}"
            row = row_of(out, bench.asked(quick), lambda run=run, out=out, seed=seed: run(out, seed), arm=name, seed=seed)
            if row:
                print(f"{name} {seed}: {row['int8_accuracy']:.4f}, {row['stored_bytes']} B stored, {row['instructions']}",
                      flush=True)
    return kept(folder, seeds)


def _plain(start: str, precision: Precision, out: Path, seed: int, quick: bool, stop: Callable[..., None]) -> dict[str, Any]:
    result = bench.trained(start, seed, quick, out / "float", stop)
    return bench.measured(result, out / "quantized", precision, stop, bench.BOARDS)


def _unstructured(out: Path, seed: int, quick: bool, stop: Callable[..., None]) -> dict[str, Any]:
    """Magnitude pruning over all layers at once along a cubic ramp, then training with quantization, masks held."""
    schedule, task = bench.schedule_for(quick), bench.fashion_mnist()
    whole = bench.stored_bytes(bench.graph_of(bench.Net(), (28, 28), 1), Board.load(M4))
    torch.manual_seed(seed)
    net, epochs = bench.Net(), schedule.float_epochs
    optimizer = torch.optim.SGD(net.parameters(), schedule.rate, 0.9, nesterov=True, weight_decay=schedule.weight_decay)
    weights = [m.weight for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    density, steps = _density(weights, PART * whole), steps_per_epoch(task, schedule)
    masks: Masks = [(w, torch.ones_like(w)) for w in weights]
    for epoch in range(epochs):
        stop()
        done = min(max(((epoch + 1) / epochs - RAMP[0]) / (RAMP[1] - RAMP[0]), 0.0), 1.0)
        masks = _smallest_gone(weights, density + (1 - density) * (1 - done) ** 3)
        train_epoch(net, optimizer, _held(batches(task, schedule, seed, epoch), masks),
                    lambda step, epoch=epoch: cosine((epoch + step / steps) / epochs, schedule.rate))
    images = torch.from_numpy(task.real(task.train.images[:CALIBRATION_IMAGES]))
    quantized = FakeQuantized(net.eval(), images, task.input_quant, task.name)
    graph = _trained_quantized(quantized, task, schedule, seed, stop)
    test = open_test(task, out, "int8", schedule.measured_images)
    (out / "model.tflite").write_bytes(write_tflite(graph))
    counted = {key: sparse.executed(graph, Board.load(key), test.images[:1]) for key in bench.BOARDS}
    figures = bench.figures(out / "model.tflite", out, (M4,))
    kept = sum(int(np.count_nonzero(sparse.rows_of(graph, op))) for op in sparse.layers(graph))
    return {"int8_accuracy": measures(graph, task, test)["accuracy"], "test_images": len(test), **figures,
            "dense_kernel_instructions": figures["instructions"][M4], "stored_bytes": sparse.size_bytes(graph),
            "weights_kept": kept, "instructions": {key: count for key, (count, _) in counted.items()},
            "mismatches": figures["mismatches"] + sum(not is_equal for _, is_equal in counted.values())}


def _density(weights: list[nn.Parameter], limit_bytes: float) -> float:
    """Share of weights that may stay: a byte each and one for its place."""
    channels = sum(w.shape[0] for w in weights)
    return (limit_bytes - channels * sparse.PER_CHANNEL_BYTES) / (2 * sum(w.numel() for w in weights))


def _smallest_gone(weights: list[nn.Parameter], density: float) -> Masks:
    sizes = torch.cat([w.detach().abs().flatten() for w in weights])
    least = torch.topk(sizes, max(int(density * sizes.numel()), 1)).values[-1]
    return [(w, (w.detach().abs() >= least).float()) for w in weights]


def _held(data: Iterable, masks: Masks) -> Iterator:
    """The batches; before each, and after the last, masked weights are zero."""
    for item in data:
        with torch.no_grad():
            for weight, mask in masks:
                weight.mul_(mask)
        yield item
    with torch.no_grad():
        for weight, mask in masks:
            weight.mul_(mask)


def _trained_quantized(quantized: FakeQuantized, task: Any, schedule: Any, seed: int, stop: Callable[..., None]) -> Graph:
    originals = [quantized.module.get_submodule(name).parametrizations.weight.original
                 for name in quantized.weighted.values()]
    masks = [(w, (w.detach() != 0).float()) for w in originals]
    weights, ranges = quantized.parameters()
    optimizer, steps = torch.optim.Adam([*weights, *ranges], schedule.qat_rate), steps_per_epoch(task, schedule)
    quantized.train()
    for epoch in range(schedule.qat_epochs):
        stop()
        for step, (x, labels) in enumerate(_held(batches(task, schedule, seed, FIRST_EPOCH + epoch), masks)):
            optimizer.param_groups[0]["lr"] = cosine((epoch + step / steps) / schedule.qat_epochs, schedule.qat_rate)
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(quantized.module(x), labels).backward()
            optimizer.step()
    return quantized.export()


def kept(folder: Path, seeds: list[int]) -> dict[str, Any]:
    paths = [path for seed in seeds for path in sorted(folder.glob(f"*-{seed}/{ROW}"))]
    return {"rows": [json.loads(path.read_text()) for path in paths]}


def report(found: dict[str, Any]) -> tuple[str, dict[str, str]]:
    rows: Rows = found["rows"]
    dense = of(rows, "dense")
    lines = [[name, percent(own), f"{mean(r['stored_bytes'] for r in own):,.0f}",
              f"{_share(own, dense, lambda r: r['stored_bytes']):.1%}" if dense else "",
              *(f"{mean(r['instructions'][key] for r in own):,.0f}" for key in bench.BOARDS),
              *(f"{1 / _share(own, dense, lambda r, key=key: r['instructions'][key]):.2f}" if dense else ""
                for key in bench.BOARDS), note]
             for name, note in NOTES.items() if (own := of(rows, name))]
    text = ["# A quarter of the bytes: what turns into speed\n",
            f"{bench.contest.TRAINING_IMAGES:,} training images of Fashion-MNIST; integer models by TFLite Micro. "
            "Instructions: executed in QEMU, Cortex-M4 and Cortex-M0+; of the sparse net the layers with weights alone. "
            "`python -m tests.bench.quant --paper study`\n",
            markdown(["arm", "test %", "stored B", "of dense", "M4", "M0+", "faster on M4", "on M0+", "what it is"], lines),
            "## Expectations\n", "\n".join([bench.mismatches(rows), *_expected(rows)]) + "\n"]
    points = {name: [100 * r["int8_accuracy"] for r in own] for name in NOTES if (own := of(rows, name))}
    if not points:
        return "\n".join(text), {}
    text.append("![test accuracy](quant-study.svg)\n")
    return "\n".join(text), {"quant-study.svg": bench.dots(points, "test accuracy, %")}


def _share(own: Rows, dense: Rows, of_row: Callable[[dict[str, Any]], float]) -> float:
    return mean(map(of_row, own)) / mean(map(of_row, dense))


def _expected(rows: Rows) -> list[str]:
    own = {name: found for name in NOTES if (found := of(rows, name))}
    if len(own) < len(NOTES):
        return []
    score = {name: mean(100 * r["int8_accuracy"] for r in found) for name, found in own.items()}
    lines = []
    for key, core in ((M4, "M4"), (M0PLUS, "M0+")):
        faster = {name: 1 / _share(found, own["dense"], lambda r, key=key: r["instructions"][key])
                  for name, found in own.items()}
        lines += [say(f"structured takes {faster['structured']:.2f} times fewer instructions than dense on {core} (>= 2.5)",
                      faster["structured"] >= 2.5),
                  say(f"unstructured {faster['unstructured']:.2f} times (<= 1.2)", faster["unstructured"] <= 1.2),
                  f"- int4 of the same bytes: {faster['int4']:.2f} times"]
    for name in ("structured", "unstructured", "int4"):
        share = _share(own[name], own["dense"], lambda r: r["stored_bytes"])
        lines.append(say(f"{name} stores {share:.1%} of the dense bytes (<= {PART:.0%}, and a hundredth)",
                         share <= PART + 0.01))
    lines.append(say(f"unstructured is no less accurate than structured: {score['unstructured']:.2f} against "
                     f"{score['structured']:.2f} %", score["unstructured"] >= score["structured"]))
    return [*lines, f"- int4 reaches {score['int4']:.2f} %, dense {score['dense']:.2f} %"]
