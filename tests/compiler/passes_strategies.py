# SPDX-License-Identifier: Apache-2.0
"""Random small networks as the passes meet them: pruned, padded and with joins, and what "the same bytes" means."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from mcunas.device.oracle import Oracle
from mcunas.errors import InputError
from mcunas.graph import Graph, reference, verify
from mcunas.graph.integer_params import bias_input
from tests.kernels.strategies_graph import small_graph

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@st.composite
def pruned_graph(draw) -> tuple[Graph, list[np.ndarray]]:
    """A small graph in which filters and input channels of layers are zero, and biases zero or far from it."""
    graph, inputs = draw(small_graph())
    rng = np.random.default_rng(draw(st.integers(0, 2 ** 32 - 1)))
    share = draw(st.sampled_from([0.0, 0.4, 0.8, 1.0]))
    tensors = list(graph.tensors)
    for op in graph.ops:
        if op.kind not in _WEIGHTED:
            continue
        weights = tensors[op.inputs[1]].data.copy()
        outputs = rng.random(weights.shape[3 if op.kind == "DEPTHWISE_CONV_2D" else 0]) < share
        if op.kind == "DEPTHWISE_CONV_2D":
            weights[..., outputs] = 0
        else:
            weights[outputs] = 0
            weights[..., rng.random(weights.shape[-1]) < share / 2] = 0
            if weights.ndim == 4 and rng.random() < 0.3:
                weights[:, 0] = 0                           # rows of taps that no border can tell apart
        tensors[op.inputs[1]] = replace(tensors[op.inputs[1]], data=weights)
        if bias_input(op) >= 0:
            bias = tensors[bias_input(op)].data.copy()
            bias[outputs & (rng.random(len(bias)) < 0.6)] = rng.choice([0, 0, -10 ** 6])
            tensors[bias_input(op)] = replace(tensors[bias_input(op)], data=bias)
    return verify(graph.with_(tensors=tuple(tensors))), inputs


def outputs(graph: Graph, inputs: list[np.ndarray]) -> list[bytes]:
    values = reference.run(graph, inputs)
    return [values[t].tobytes() for t in graph.outputs]


def oracle_outputs(graph: Graph, inputs: list[np.ndarray]) -> list[bytes]:
    return [value.tobytes() for value in Oracle(graph).outputs(inputs)]


def in_tflite(graph: Graph) -> bool:
    """Whether a .tflite can hold the graph: explicit padding has no place in it."""
    return not any(isinstance(op.attrs.get("padding"), tuple) for op in graph.ops)


def differences(before: Graph, after: Graph, inputs: list[np.ndarray]) -> list[str]:
    """How `after` fails to stand for `before`: empty when interface and every output byte are the same."""
    try:
        verify(after)
    except InputError as error:
        return [str(error)]
    found = []
    for side in ("inputs", "outputs"):
        pairs = list(zip(getattr(before, side), getattr(after, side), strict=True))
        for a, b in ((before.tensors[t], after.tensors[u]) for t, u in pairs):
            same_quant = a.quant is b.quant is None or a.quant.same_as(b.quant)
            if (a.name, a.shape, a.dtype) != (b.name, b.shape, b.dtype) or not same_quant:
                found.append(f'{side}: "{a.name}" became "{b.name}"')
    expected = outputs(before, inputs)
    if outputs(after, inputs) != expected:
        found.append("the reference gives other bytes")
    if in_tflite(after) and oracle_outputs(after, inputs) != expected:
        found.append("TFLite Micro gives other bytes")
    return found
