# SPDX-License-Identifier: Apache-2.0
"""A few fixed models whose instructions are pinned: ``python -m tests.bench.regression`` measures them again.

The counts lie in docs/results/regression.json; tests/device/test_speed_regression.py compares.
"""
from __future__ import annotations

import json
import tempfile
from typing import Any

import numpy as np

from mcunas import api
from mcunas.atomic import write_file
from mcunas.device.counts import count
from mcunas.graph import Graph, Op, Quant, Tensor
from tests.bench.measure import RESULTS, model_bytes

BASELINE = RESULTS / "regression.json"
COMMAND = "python -m tests.bench.regression"
CASES = (("kws", "mps2-an386", "cycles"), ("ad", "mps3-an547", "cycles"), ("small", "mps2-an385", "cycles"),
         ("small", "mps2-an385-m0plus", "balanced"), ("small", "mps2-an386", "flash"))     # small: `small_net`
BAND = 0.01


def small_net() -> Graph:
    """Random weights, odd shapes: convolution 3x3 (13x11x3 to 9), depthwise 3x3, 1x1 to 17, average, dense to 5."""
    rng = np.random.default_rng(0)
    shapes = ((1, 13, 11, 3), (1, 7, 6, 9), (1, 7, 6, 9), (1, 7, 6, 17), (1, 1, 1, 17), (1, 17), (1, 5))
    tensors = [Tensor(f"x{i}", shape, "int8", Quant.of(0.05, 3 if i else -2)) for i, shape in enumerate(shapes)]
    window = {"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "padding": "SAME", "activation": "RELU"}

    def layer(kind: str, at: int, shape: tuple[int, ...], attrs: dict[str, Any]) -> Op:
        outputs = shape[-1] if kind == "DEPTHWISE_CONV_2D" else shape[0]
        weights = Tensor(f"w{at}", shape, "int8", Quant.of(0.01), rng.integers(-127, 128, shape).astype(np.int8))
        scale = float(np.float32(0.05)) * float(np.float32(0.01))
        bias = Tensor(f"b{at}", (outputs,), "int32", Quant.of(scale), rng.integers(-999, 1000, outputs).astype(np.int32))
        tensors.extend((weights, bias))
        return Op(kind, (at, len(tensors) - 2, len(tensors) - 1), (at + 1,), attrs)

    ops = [layer("CONV_2D", 0, (9, 3, 3, 3), window | {"stride_h": 2, "stride_w": 2}),
           layer("DEPTHWISE_CONV_2D", 1, (1, 3, 3, 9), window | {"depth_multiplier": 1}),
           layer("CONV_2D", 2, (17, 1, 1, 9), window),
           Op("AVERAGE_POOL_2D", (3,), (4,), {"filter_h": 7, "filter_w": 6, "stride_h": 7, "stride_w": 6,
                                              "padding": "VALID", "activation": "NONE"})]
    tensors.append(Tensor("shape", (2,), "int32", None, np.array([1, 17], np.int32)))
    ops.append(Op("RESHAPE", (4, len(tensors) - 1), (5,), {}))
    ops.append(layer("FULLY_CONNECTED", 5, (5, 17), {"activation": "NONE", "keep_dims": False}))
    return Graph(tuple(tensors), tuple(ops), (0,), (6,), "small")


def instructions(model: str, key: str, goal: str) -> int:
    """Of one inference on pseudo-random input."""
    with tempfile.TemporaryDirectory() as folder:
        image = api.build(small_net() if model == "small" else model_bytes(model), key, folder, optimize=goal)
        return count(image).timer_instructions


def name(case: tuple[str, str, str]) -> str:
    return " ".join(case)


def main() -> None:
    counts = {name(case): instructions(*case) for case in CASES}
    write_file(BASELINE, json.dumps(counts, indent=1) + "\n")
    print(BASELINE.read_text(), end="")


if __name__ == "__main__":
    main()
