# SPDX-License-Identifier: Apache-2.0
"""Layers that TFLite Micro would refuse or crash on are refused by `verify`, with the op and the reason."""
from __future__ import annotations

import numpy as np
import pytest

from mcunas.errors import InputError
from mcunas.graph import Graph, Op, Quant, Tensor, verify

_CONV = {"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "padding": "SAME", "activation": "NONE"}


def _graph(kind: str, attrs: dict, shape: tuple, out_shape: tuple, weights: tuple | None = None, in_scale: float = 0.5,
           out: tuple[float, int] = (0.5, 0), bias_scale: float | None = None, no_bias: bool = False) -> Graph:
    tensors = [Tensor("x", shape, "int8", Quant.of(in_scale)), Tensor("y", out_shape, "int8", Quant.of(*out))]
    inputs = [0]
    if weights:
        tensors.append(Tensor("w", weights, "int8", Quant.of(0.25), np.ones(weights, np.int8)))
        inputs.append(2)
    if bias_scale is not None:
        count = out_shape[-1]
        tensors.append(Tensor("b", (count,), "int32", Quant.of(bias_scale), np.zeros(count, np.int32)))
        inputs.append(3)
    inputs += [-1] * no_bias
    return Graph(tuple(tensors), (Op(kind, tuple(inputs), (1,), attrs),), (0,), (1,))


_IMAGE, _WEIGHTS = (1, 4, 4, 2), (2, 1, 1, 2)
_DENSE = {"activation": "NONE", "keep_dims": False}
_REFUSED = {
    "multiplier": (_graph("CONV_2D", _CONV, _IMAGE, _IMAGE, _WEIGHTS, in_scale=2.0 ** 40), "2^30 times the output's"),
    "activation": (_graph("CONV_2D", {**_CONV, "activation": "RELU6"}, _IMAGE, _IMAGE, _WEIGHTS, in_scale=2.0 ** -40,
                          out=(2.0 ** -40, 0)), "too small for a fused RELU6"),
    "depthwise bias": (_graph("DEPTHWISE_CONV_2D", {**_CONV, "depth_multiplier": 1}, _IMAGE, _IMAGE, (1, 1, 1, 2),
                              no_bias=True), "leave the third input out"),
    "dense bias": (_graph("FULLY_CONNECTED", _DENSE, (1, 3), (1, 2), (2, 3), bias_scale=0.5), "is not input scale times"),
    "softmax beta": (_graph("SOFTMAX", {"beta": 0.0}, (1, 3), (1, 3), out=(1 / 256, -128)), "is too small"),
    "softmax depth": (_graph("SOFTMAX", {"beta": 1.0}, (1, 5000), (1, 5000), out=(1 / 256, -128)), "at most 4095"),
}


@pytest.mark.parametrize("case", _REFUSED)
def test_layer_is_refused_with_its_reason(case):
    graph, reason = _REFUSED[case]
    with pytest.raises(InputError) as error:
        verify(graph)
    assert reason in str(error.value) and f"op 0 {graph.ops[0].kind}" in str(error.value)


def test_the_same_layers_within_the_limits_are_legal():
    verify(_graph("CONV_2D", {**_CONV, "activation": "RELU6"}, _IMAGE, _IMAGE, _WEIGHTS))
    verify(_graph("FULLY_CONNECTED", _DENSE, (1, 3), (1, 2), (2, 3), bias_scale=0.125))
    verify(_graph("SOFTMAX", {"beta": 1.0}, (1, 511), (1, 511), out=(1 / 256, -128)))


def test_inputs_and_outputs_have_sides_of_sixteen_bits():
    for side in (65_535, 65_536):
        graph = _graph("RELU", {}, (1, side), (1, side))
        if side == 65_535:
            verify(graph)
            continue
        with pytest.raises(InputError, match=r"shape \(1, 65536\) has a side above 65535; split it") as error:
            verify(graph)
        assert "\n" not in str(error.value)
