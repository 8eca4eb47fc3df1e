# SPDX-License-Identifier: Apache-2.0
"""Fashion-MNIST at two published operating points: ``python -m tests.bench.fashion [--points munas tiny]``.

munas: what uNAS found with days of GPU time (64 KB of weights, 12.6 KB of RAM, 4.4 M multiply-accumulates, 93 %); ours
counts the input in the RAM. tiny: 4 KB of RAM, 8 KB of weights, 90 %. All 10,000 test images run as int8 in QEMU on the
Cortex-M4. A killed run goes on where it was.
"""
from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import mcunas
from mcunas import device, tasks
from mcunas.search.progress import ProgressBars
from mcunas.tasks.test_reads import open_test
from tests.bench.measure import ROOT, markdown, save

BOARD = "mps2-an386"
# budgets: RAM and flash in bytes (flash with the model's code and tables), latency in ms; limits: what must hold
POINTS: dict[str, dict[str, Any]] = {
    "munas": {"options": {"stem": 16, "widths": [40, 56, 64], "strides": [2, 2, 1]},
              "epochs": {"prune_epochs": 12, "finetune_epochs": 28, "qat_epochs": 4},
              "budget": {"ram": 12_600, "flash": 72_500, "latency": "325 ms"},
              "limits": {"weights": 65_536, "ram": 12_600, "macs": 4_400_000}, "accuracy": 0.93},
    "tiny": {"options": {"stem": 8, "widths": [16, 24, 32], "strides": [2, 2, 2]},
             "epochs": {"prune_epochs": 12, "finetune_epochs": 28, "qat_epochs": 6},
             "budget": {"ram": 4096, "flash": 15_500, "latency": "200 ms"},
             "limits": {"weights": 8_192, "ram": 4_096, "macs": 30_000_000}, "accuracy": 0.90},
}


def run(name: str, folder: Path, seed: int) -> dict[str, Any]:
    """Search, quantize, build and prove one point; resumes."""
    point, board, task = POINTS[name], mcunas.Board.load(BOARD), tasks.load("fashion-mnist")
    budget = mcunas.Budget(**point["budget"])
    schedule = replace(task.schedule, **point["epochs"])
    with ProgressBars() as bars:
        result = mcunas.search("fashion-mnist", board, budget, out=folder, seed=seed, options=point["options"],
                               schedule=schedule, progress=bars)
        model = mcunas.quantize(result, progress=bars)
        image = mcunas.build(model, board, folder / "firmware", budget=budget)
        split = open_test(task, folder, "board", None)
        found = device.stream(image, split.images, progress=lambda done: bars("board", done, len(split.images), {}))
    report = mcunas.validate(image, n_random=3).to_json()
    cost = {"weights": report["weight_bytes"], "ram": report["ram_bytes"], "macs": image.manifest["macs"]}
    return {"point": name, "seed": seed, **cost, "flash": report["flash_bytes"], "instructions": report["instructions"],
            "mismatches": report["mismatches"], "images": len(split.images),
            "accuracy": float(np.mean(found.argmax(-1) == split.labels)), "float_accuracy": result.metrics["float_accuracy"],
            "int8_host": model.metrics["int8_accuracy"], "wanted": point["accuracy"], "limits": point["limits"],
            "holds": all(cost[key] <= limit for key, limit in point["limits"].items()),
            "widths": result.metrics["widths"], "ledger": result.metrics["ledger"], "versions": result.metrics["versions"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", nargs="*", default=list(POINTS), choices=list(POINTS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=ROOT / "build" / "bench-fashion")
    asked = parser.parse_args()
    rows = [run(name, asked.keep / f"{name}-{asked.seed}", asked.seed) for name in asked.points]
    save("fashion", rows, markdown(
        ["point", "RAM", "weights", "MACs", "instructions on M4", "float", "int8 on the board", "wanted", "mismatches",
         "CPU min"],
        [[r["point"], r["ram"], r["weights"], r["macs"], r["instructions"], f"{r['float_accuracy']:.2%}",
          f"{r['accuracy']:.2%}", f"{r['wanted']:.1%}", r["mismatches"],
          round(sum(r["ledger"]["cpu_seconds"].values()) / 60)] for r in rows]))


if __name__ == "__main__":
    main()
