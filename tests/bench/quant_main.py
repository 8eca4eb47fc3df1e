# SPDX-License-Identifier: Apache-2.0
"""The main path to int8: what it loses against float on every task, and whether the deployed network is the trained one.

Loss: float less int8 accuracy on the same test images, of every network in docs/results that has both. Guard: the task's own
starting net, trained for a short time and quantized; arg-max and outputs of the network with fake quantization, as trained,
against the int8 one's (TFLite Micro; the firmware's bytes are the same).
"""
from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch

from mcunas import tasks
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.graph import read_tflite
from mcunas.quantize import quantize
from mcunas.quantize.driver import CALIBRATION_IMAGES
from mcunas.quantize.model import run_tflite
from mcunas.quantize.qat import FakeQuantized
from mcunas.search import search
from mcunas.search.result import Result
from mcunas.tasks import Schedule
from tests.bench.kept import ROW, row_of
from tests.bench.measure import RESULTS, markdown
from tests.bench.nas_contest import M4

TASKS = ("digits", "fashion-mnist", "fsdd", "har")
SHORT: dict[str, Any] = {"prune_epochs": 0, "finetune_epochs": 8, "qat_epochs": 2, "epoch_samples": 6_000,
                         "measured_images": 1_000}
QUICK: dict[str, Any] = {**SHORT, "finetune_epochs": 1, "qat_epochs": 1, "epoch_samples": 640, "measured_images": 50}
LOSS_POINTS, ARG_MAX, WITHIN_ONE = 0.3, 0.995, 0.99     # wanted: at most; at least
PAIRS = {"prune": None, "fashion": "fashion-mnist", "nas-fbnet": "fashion-mnist", "nas-padnas": "fashion-mnist",
         "nas-proxyless": "fashion-mnist", "nas-prunet": "fashion-mnist", "nas-rarts": "fashion-mnist",
         "asktell-nsga2": "detection-64", "asktell-adapt": "detection-64"}


def networks() -> Iterator[tuple[str, float, int]]:
    """(task, points lost, test images) of every network with both accuracies."""
    for name, task in PAIRS.items():
        path = RESULTS / f"{name}.json"
        for row in json.loads(path.read_text())["rows"] if path.exists() else ():
            int8 = row.get("int8_accuracy", row.get("int8_host"))
            if int8 is not None and "float_accuracy" in row:
                images = row.get("test_images") or row.get("images")
                yield task or row["contest"].rpartition("-")[0], 100 * (row["float_accuracy"] - int8), images


def measure(folder: Path, seeds: list[int], quick: bool, stop: Callable[..., None]) -> dict[str, Any]:
    for seed in seeds:
        for task in TASKS:
            stop()
            out = folder / f"{task}-{seed}"
            plan = replace(tasks.load(task).schedule, **(QUICK if quick else SHORT))
            row = row_of(out, {"schedule": asdict(plan)},
                         lambda task=task, seed=seed, out=out, plan=plan: _guarded(task, seed, out, plan, stop),
                         arm=task, seed=seed)
            if row:
                print(f"{task} {seed}: arg-max {row['arg_max']:.2%}, within one step {row['within_one']:.2%}", flush=True)
    return kept(folder, seeds)


def _guarded(task: str, seed: int, out: Path, plan: Schedule, stop: Callable[..., None]) -> dict[str, Any]:
    result = search(task, Board.load(M4), Budget(), "scratch", out, seed, schedule=plan, progress=stop)
    quantize(result, progress=stop)
    return guard(result, plan.measured_images)


def guard(result: Result, count: int | None) -> dict[str, Any]:
    """Of a finished search that was quantized: fake quantization against TFLite Micro on the first test images."""
    task, folder = tasks.load(result.task), result.out
    calibration = torch.from_numpy(task.real(task.train.images[:CALIBRATION_IMAGES]))
    quantized = FakeQuantized(result.model, calibration, task.input_quant, task.name)
    quantized.load(torch.load(folder / "quantize.pt", weights_only=True)["parameters"])
    graph, images = read_tflite(folder / "model.tflite"), task.test.images[:count]
    with torch.no_grad():
        fake = quantized.module.eval()(torch.from_numpy(task.real(images))).numpy()
    scale, zero_point = graph.tensors[graph.outputs[0]].quant.per_tensor
    trained = np.clip(np.rint(fake / scale) + zero_point, -128, 127).astype(int)
    deployed = run_tflite(graph, images).astype(int)
    return {"images": len(images), "arg_max": float((trained.argmax(1) == deployed.argmax(1)).mean()),
            "within_one": float((abs(trained - deployed) <= 1).mean()), "largest": int(abs(trained - deployed).max())}


def kept(folder: Path, seeds: list[int]) -> dict[str, Any]:
    found, losses = list(networks()), []
    for task in sorted({task for task, _, _ in found}):
        own, images = [loss for t, loss, _ in found if t == task], max(n for t, _, n in found if t == task)
        losses.append({"task": task, "networks": len(own), "images": images, "mean": mean(own), "worst": max(own),
                       "above": sum(loss > LOSS_POINTS for loss in own)})
    paths = [path for seed in seeds for path in sorted(folder.glob(f"*-{seed}/{ROW}"))]
    return {"losses": losses, "rows": [json.loads(path.read_text()) for path in paths]}


def report(found: dict[str, Any]) -> tuple[str, dict[str, str]]:
    losses = [[r["task"], r["networks"], r["images"], f"{r['mean']:.2f}", f"{r['worst']:.2f}", r["above"],
               "met by the mean" if r["mean"] <= LOSS_POINTS else "missed"] for r in found["losses"]]
    guards = []
    for task in TASKS:
        own = [r for r in found["rows"] if r["arm"] == task]
        if own:
            arg_max, within = mean(r["arg_max"] for r in own), mean(r["within_one"] for r in own)
            guards.append([task, len(own), own[0]["images"], f"{arg_max:.2%}", f"{within:.2%}",
                           max(r["largest"] for r in own),
                           "met" if arg_max >= ARG_MAX and within >= WITHIN_ONE else "missed"])
    text = ["# The main path to int8\n",
            f"Wanted: at most {LOSS_POINTS} points lost. Each network of the other benches, float and int8 on the same test "
            "images; single networks scatter by what a handful of images is worth. "
            "`python -m tests.bench.quant --paper main`\n",
            markdown(["task", "networks", "images", "points lost, mean", "worst", "networks above", ""], losses),
            f"Trained with fake quantization against deployed; wanted: {ARG_MAX:.1%} equal arg-max, {WITHIN_ONE:.0%} of "
            "outputs within one step. Each task's own starting net, trained shortly.\n",
            markdown(["task", "networks", "test images each", "arg-max equal", "within one step", "largest difference", ""],
                     guards)]
    return "\n".join(text), {}
