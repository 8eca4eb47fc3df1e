# SPDX-License-Identifier: Apache-2.0
"""Scale products are formed in double, not float32: told apart by accumulators that lie between the two roundings."""
from __future__ import annotations

import numpy as np
import pytest

from mcunas.graph import Graph, Op, Quant, Tensor, verify
from mcunas.graph.arithmetic import quantize_multiplier, scale_int32
from tests.oracle import differences

_CHANNELS = 64
_ATTRS = {"CONV_2D": {"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "padding": "VALID",
                      "activation": "NONE"},
          "FULLY_CONNECTED": {"activation": "NONE", "keep_dims": False}}


def _scales(rng: np.random.Generator) -> tuple[float, float, float]:
    """Input, weight and output scale whose product of the first two is far from a float32."""
    while True:
        x, w, y = (float(v) for v in rng.uniform(0.5, 1.0, 3).astype(np.float32) * np.float32([1, 1, 2 ** 22]))
        if abs(float(np.float32(x) * np.float32(w)) / (x * w) - 1) > 4e-8:
            return x, w, y


@pytest.mark.parametrize("kind", ["CONV_2D", "FULLY_CONNECTED"])
@pytest.mark.parametrize("per_channel", [False, True])
def test_scale_products_are_not_rounded_to_float32(kind, per_channel):
    x, w, y = _scales(np.random.default_rng(5))
    rounded, exact = float(np.float32(x) * np.float32(w)) / y, x * w / y
    bias = np.round((np.arange(_CHANNELS) - 32 + 0.5) / ((rounded + exact) / 2)).astype(np.int32)
    told_apart = scale_int32(bias, *quantize_multiplier(rounded)) != scale_int32(bias, *quantize_multiplier(exact))
    assert told_apart.sum() > _CHANNELS / 2
    count = _CHANNELS if per_channel else 1
    shape = (1, 1, 1, 1) if kind == "CONV_2D" else (1, 1)
    weight_quant = Quant(np.full(count, w, np.float32), np.zeros(count, np.int64))
    tensors = (Tensor("x", shape, "int8", Quant.of(x)),
               Tensor("w", (_CHANNELS, *shape[1:]), "int8", weight_quant, np.ones((_CHANNELS, *shape[1:]), np.int8)),
               Tensor("b", (_CHANNELS,), "int32", Quant.of(float(np.float32(x) * np.float32(w))), bias),
               Tensor("y", (*shape[:-1], _CHANNELS), "int8", Quant.of(y)))
    graph = verify(Graph(tensors, (Op(kind, (0, 1, 2), (3,), _ATTRS[kind]),), (0,), (3,)))
    assert differences(graph, [np.zeros(shape, np.int8)]) == []
