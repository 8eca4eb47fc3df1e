# SPDX-License-Identifier: Apache-2.0
"""Instructions per inference of the MLPerf Tiny models on every core: ``python -m tests.bench.speed``.

Counted in QEMU, exact and repeatable; instructions, not cycles. The peer is TFLite Micro with CMSIS-NN at -O3.
"""
from __future__ import annotations

import argparse

from tests.bench import peers
from tests.bench.measure import MODELS, markdown, measure, save

GOALS = ("cycles", "balanced")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boards", nargs="*", default=list(peers.INSTRUCTIONS))
    parser.add_argument("--goals", nargs="*", default=list(GOALS))
    asked = parser.parse_args()
    rows = [measure(model, board, goal, inputs=5) for board in asked.boards for model in MODELS for goal in asked.goals]
    table = [[r["board"], r["model"], r["optimize"], r["mismatches"], peer := peers.INSTRUCTIONS[r["board"]][r["model"]],
              r["instructions"], f"{r['instructions'] / r['macs']:.2f}", f"{peer / r['instructions']:.2f}x",
              r["arena_bytes"]] for r in rows]
    save("speed", rows, markdown(["board", "model", "goal", "mismatches", "TFLM + CMSIS-NN", "mcunas", "per MAC",
                                  "fewer by", "RAM"], table))


if __name__ == "__main__":
    main()
