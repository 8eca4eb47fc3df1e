# SPDX-License-Identifier: Apache-2.0
"""RAM and flash of the MLPerf Tiny models on the Cortex-M4, beside TFLite Micro's: ``python -m tests.bench.memory``.

RAM is the painted high-water mark on the target; inputs, outputs and scratch are in it. Overhead is the linked image
less the weights and biases: with and without the firmware around the model (startup, serial protocol, fault printer).
The targets are those of `ram`, which gives time for memory; `balanced` stands beside it with what each takes of time.
"""
from __future__ import annotations

from tests.bench import peers
from tests.bench.measure import MODELS, markdown, measure, save

BOARD = "mps2-an386"
GOALS = ("ram", "balanced")
TARGET_ARENA = {"kws": 9_500, "ic": 22_000, "vww": 36_000, "ad": 900}
TARGET_OVERHEAD = {"kws": 10_240, "ic": 10_240, "vww": 11_264, "ad": 5_120}


def main() -> None:
    rows = [measure(model, BOARD, goal) for goal in GOALS for model in MODELS]
    table = [[r["model"], r["optimize"], r["mismatches"], peers.ARENA_BYTES[m := r["model"]], r["arena_bytes"],
              r["bound_bytes"], TARGET_ARENA[m], peers.FLASH_BYTES[m], r["overhead_bytes"], r["model_overhead_bytes"],
              TARGET_OVERHEAD[m], r["instructions"]] for r in rows]
    save("memory", rows, markdown(
        ["model", "goal", "mismatches", "RAM: TFLM", "mcunas", "lower bound of the schedule", "target",
         "flash beyond weights: TFLM", "mcunas image", "mcunas model alone", "target", "instructions"], table))


if __name__ == "__main__":
    main()
