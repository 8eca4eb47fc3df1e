# SPDX-License-Identifier: Apache-2.0
"""The main path to int8: what it loses against float on every task, and whether the deployed network is the trained one.

    python -m tests.bench.quant_main                 # accuracy, from the results that other benches keep
    python -m tests.bench.quant_main FOLDER...       # and the guard, for finished searches that were quantized

Loss: float less int8 accuracy on the same test images, of every network in docs/results that has both. Guard: arg-max and
outputs of the network with fake quantization, as trained, against the int8 one's (TFLM; the firmware's bytes are the same).
"""
from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

from tests.bench.measure import RESULTS

LOSS_POINTS, ARG_MAX, WITHIN_ONE = 0.3, 0.995, 0.99     # wanted: at most; at least
PAIRS = {"prune": None, "fashion": "fashion-mnist", "nas-fbnet": "fashion-mnist", "nas-padnas": "fashion-mnist",
         "nas-proxyless": "fashion-mnist", "nas-prunet": "fashion-mnist", "nas-rarts": "fashion-mnist"}


def networks() -> Iterator[tuple[str, float, int]]:
    """(task, points lost, test images) of every network with both accuracies."""
    for name, task in PAIRS.items():
        path = RESULTS / f"{name}.json"
        for row in json.loads(path.read_text())["rows"] if path.exists() else ():
            int8 = row.get("int8_accuracy", row.get("int8_host"))
            if int8 is not None and "float_accuracy" in row:
                images = row.get("test_images") or row.get("images")
                yield task or row["contest"].rpartition("-")[0], 100 * (row["float_accuracy"] - int8), images


def guard(folder: Path) -> dict[str, Any]:
    """Of a finished search with quantize.pt and model.tflite in it."""
    import numpy as np
    import torch

    from mcunas import tasks
    from mcunas.graph import read_tflite
    from mcunas.quantize.driver import CALIBRATION_IMAGES
    from mcunas.quantize.model import run_tflite
    from mcunas.quantize.qat import FakeQuantized
    from mcunas.search.result import Result

    torch.set_num_threads(1)
    result = Result.load(folder)
    task = tasks.load(result.task)
    calibration = torch.from_numpy(task.real(task.train.images[:CALIBRATION_IMAGES]))
    quantized = FakeQuantized(result.model, calibration, task.input_quant, task.name)
    quantized.load(torch.load(folder / "quantize.pt", weights_only=True)["parameters"])
    graph = read_tflite(folder / "model.tflite")
    images = task.test.images[:1000]
    with torch.no_grad():
        fake = quantized.module.eval()(torch.from_numpy(task.real(images))).numpy()
    scale, zero_point = graph.tensors[graph.outputs[0]].quant.per_tensor
    trained = np.clip(np.rint(fake / scale) + zero_point, -128, 127).astype(int)
    deployed = run_tflite(graph, images).astype(int)
    return {"task": task.name, "images": len(images), "arg_max": float((trained.argmax(1) == deployed.argmax(1)).mean()),
            "within_one": float((abs(trained - deployed) <= 1).mean()), "largest": int(abs(trained - deployed).max())}


def report(losses: list[dict[str, Any]], guards: list[dict[str, Any]]) -> str:
    lines = ["# The main path to int8", "", f"Wanted: at most {LOSS_POINTS} points lost. Each network of the other benches, "
             "float and int8 on the same test images;", "single networks scatter by what a handful of images is worth.", "",
             "| task | networks | images | points lost, mean | worst | networks above | |", "|---|---|---|---|---|---|---|"]
    lines += [f"| {r['task']} | {r['networks']} | {r['images']:,} | {r['mean']:.2f} | {r['worst']:.2f} | {r['above']} | "
              f"{'met by the mean' if r['mean'] <= LOSS_POINTS else 'missed'} |" for r in losses]
    lines += ["", f"Trained with fake quantization against deployed; wanted: {ARG_MAX:.1%} equal arg-max, {WITHIN_ONE:.0%} "
              "of outputs within one step.", "",
              "| task | test images | arg-max equal | within one step | largest difference | |", "|---|---|---|---|---|---|"]
    lines += [f"| {g['task']} | {g['images']:,} | {g['arg_max']:.2%} | {g['within_one']:.2%} | {g['largest']} | "
              f"{'met' if g['arg_max'] >= ARG_MAX and g['within_one'] >= WITHIN_ONE else 'missed'} |" for g in guards]
    return "\n".join(lines) + "\n"


def main() -> None:
    found = list(networks())
    losses = []
    for task in sorted({task for task, _, _ in found}):
        own, images = [loss for t, loss, _ in found if t == task], max(n for t, _, n in found if t == task)
        losses.append({"task": task, "networks": len(own), "images": images, "mean": mean(own), "worst": max(own),
                       "above": sum(loss > LOSS_POINTS for loss in own)})
    path = RESULTS / "quant-main.json"
    kept = {g["task"]: g for g in (json.loads(path.read_text())["guards"] if path.exists() else ())}
    for folder in sys.argv[1:]:
        one = guard(Path(folder))
        kept[one["task"]] = one
        print(one, flush=True)
    guards = [kept[task] for task in sorted(kept)]
    path.write_text(json.dumps({"losses": losses, "guards": guards}, indent=1) + "\n")
    (RESULTS / "quant-main.md").write_text(report(losses, guards))
    print(report(losses, guards))


if __name__ == "__main__":
    main()
