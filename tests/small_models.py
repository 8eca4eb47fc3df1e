# SPDX-License-Identifier: Apache-2.0
"""Models of a few bytes, for tests that need any valid one."""
from __future__ import annotations

import numpy as np

from mcunas.graph import Graph, Op, Quant, Tensor


def dense(inputs: int, outputs: int) -> Graph:
    """One fully connected layer, (1, inputs) -> (1, outputs)."""
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (outputs, inputs)).astype(np.int8)
    tensors = (Tensor("x", (1, inputs), "int8", Quant.of(0.5)),
               Tensor("weights", weights.shape, "int8", Quant.of(0.01), weights),
               Tensor("bias", (outputs,), "int32", Quant.of(0.5 * np.float32(0.01)), np.zeros(outputs, np.int32)),
               Tensor("y", (1, outputs), "int8", Quant.of(1.0)))
    attrs = {"activation": "NONE", "keep_dims": False}
    return Graph(tensors, (Op("FULLY_CONNECTED", (0, 1, 2), (3,), attrs),), (0,), (3,), "dense")
