# SPDX-License-Identifier: Apache-2.0
"""Random small networks as the passes meet them: pruned, padded and with joins, and what "the same bytes" means."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from mcunas.errors import InputError
from mcunas.graph import Graph, Quant, reference, verify
from mcunas.graph.integer_params import bias_input
from mcunas.graph.oracle import Oracle
from mcunas.graph.spec import WEIGHTED
from tests.kernels.strategies_graph import Net, small_graph

_LOW = -128                     # the zero point behind a RELU


@st.composite
def pruned(draw, graphs: st.SearchStrategy) -> tuple[Graph, list[np.ndarray]]:
    """A graph in which filters and input channels of layers are zero, and biases zero or such that outputs saturate."""
    graph, inputs = draw(graphs)
    rng = np.random.default_rng(draw(st.integers(0, 2 ** 32 - 1)))
    share = draw(st.sampled_from([0.0, 0.4, 0.8, 1.0]))
    tensors = list(graph.tensors)
    for op in graph.ops:
        if op.kind not in WEIGHTED:
            continue
        weights = tensors[op.inputs[1]].data.copy()
        axis = 3 if op.kind == "DEPTHWISE_CONV_2D" else 0
        gone = rng.random(weights.shape[axis]) < share
        if op.kind == "DEPTHWISE_CONV_2D":
            weights[..., gone] = 0
        else:
            weights[gone] = 0
            weights[..., rng.random(weights.shape[-1]) < share / 2] = 0
            if weights.ndim == 4 and rng.random() < 0.3:
                weights[:, 0] = 0                           # a row of taps that no border can tell from padding
        tensors[op.inputs[1]] = replace(tensors[op.inputs[1]], data=weights)
        if bias_input(op) >= 0:
            bias = tensors[bias_input(op)].data.copy()
            bias[gone & (rng.random(len(bias)) < 0.6)] = rng.choice([0, 0, -10 ** 6])
            reach = 200 * abs(np.moveaxis(weights.astype(int), axis, 0)).reshape(len(bias), -1).sum(axis=1)
            far = ~gone & (rng.random(len(bias)) < 0.25)
            bias[far] = (rng.uniform(-1, 1, len(bias)) * reach)[far]
            tensors[bias_input(op)] = replace(tensors[bias_input(op)], data=bias)
    return verify(graph.with_(tensors=tuple(tensors))), inputs


class _Blocks(Net):
    """Blocks of the networks that are pruned; each method takes and returns a tensor (1, H, W, C)."""

    def channels(self, x: int) -> int:
        return self.tensors[x].shape[3]

    def layer(self, x: int, kind: str, channels: int, kernel: int, stride: int = 1, padding: str = "SAME",
              after: Quant | None = None) -> int:
        depthwise, scale = kind == "DEPTHWISE_CONV_2D", self.tensors[x].quant.per_tensor[0]
        shape = (1, kernel, kernel, channels) if depthwise else (channels, kernel, kernel, self.channels(x))
        attrs = {"stride_h": stride, "stride_w": stride, "dilation_h": 1, "dilation_w": 1, "padding": padding,
                 "activation": self.pick("NONE", "RELU", "RELU", "RELU6")}
        attrs |= {"depth_multiplier": channels // self.channels(x)} if depthwise else {}
        weights = self.weights(shape, 3 if depthwise else 0)
        terms = kernel * kernel * (1 if depthwise else self.channels(x))
        after = after or Quant.of(float(np.float32(scale * 0.4 * terms ** 0.5)), self.pick(_LOW, _LOW, _LOW, -7, 40))
        inputs = [x, weights, self.bias(x, weights, channels)] if self.pick(True, True, False) else [x, weights]
        return self.add(kind, inputs, after, attrs)

    def pointwise(self, x: int, channels: int, after: Quant | None = None) -> int:
        return self.layer(x, "CONV_2D", channels, 1, after=after)

    def separable(self, x: int) -> int:
        deep = self.layer(x, "DEPTHWISE_CONV_2D", self.channels(x) * self.pick(1, 1, 2), 3, self.pick(1, 2))
        return self.pointwise(deep, self.pick(1, 3, 6))

    def residual(self, x: int) -> int:
        wide = self.pointwise(x, self.pick(2, 6))
        narrow = self.pointwise(self.layer(wide, "DEPTHWISE_CONV_2D", self.channels(wide), 3), self.channels(x))
        inputs = [x, narrow] if self.pick(True, False) else [narrow, x]
        scale = 1.4 * max(self.tensors[t].quant.per_tensor[0] for t in inputs)
        return self.add("ADD", inputs, Quant.of(float(np.float32(scale)), self.pick(_LOW, 3)),
                        {"activation": self.pick("NONE", "RELU")})

    def branches(self, x: int) -> int:
        after = Quant.of(self.tensors[x].quant.per_tensor[0], _LOW)
        parts = [self.layer(x, "CONV_2D", self.pick(1, 2, 4), self.pick(1, 3), after=after) for _ in "ab"]
        return self.add("CONCATENATION", parts, after, {"axis": 3, "activation": "NONE"})

    def unusual(self, x: int) -> int:
        """A transposed, a grouped or a dilated convolution."""
        (_, h, w, c), kind = self.tensors[x].shape, self.pick("transposed", "grouped", "dilated")
        quant = Quant.of(float(np.float32(self.tensors[x].quant.per_tensor[0])), self.pick(_LOW, 9))
        attrs = {"stride_h": 2, "stride_w": 1, "padding": "SAME", "activation": "NONE"}
        if kind == "transposed":
            weights = self.weights((3, 3, 2, c), 0)
            inputs = [self.const((1, 2 * h, w, 3)), weights, x]
            return self.add("TRANSPOSE_CONV", inputs + [self.bias(x, weights, 3)] * self.pick(0, 1), quant, attrs)
        dilation = {"dilation_h": 1 + (kind == "dilated"), "dilation_w": 1}
        groups = 2 if kind == "grouped" and c % 2 == 0 else 1
        weights = self.weights((4, 3, 3, c // groups), 0)
        return self.add("CONV_2D", [x, weights, self.bias(x, weights, 4)], quant, attrs | dilation)

    def padded(self, x: int) -> int:
        """Rows and columns padded for a convolution or a maximum."""
        sides = [[self.pick(0, 1, 2), self.pick(0, 1, 1, 3)] for _ in "hw"]
        quant = self.tensors[x].quant
        y = self.add("PAD", [x, self.const([[0, 0], *sides, [0, 0]])], quant)
        _, h, w, c = self.tensors[y].shape
        padding, stride = "VALID" if min(h, w) >= 3 else "SAME", self.pick(1, 2)
        if self.pick(True, False):
            window = {"filter_h": 3, "filter_w": 3, "stride_h": stride, "stride_w": stride, "padding": padding}
            return self.add("MAX_POOL_2D", [y], quant, {**window, "activation": "NONE"})
        kind = self.pick("CONV_2D", "DEPTHWISE_CONV_2D")
        return self.layer(y, kind, c if kind != "CONV_2D" else 4, 3, stride, padding)

    def pointed(self, x: int) -> int:
        """An op on single bytes: clamps, constants per channel, another zero point."""
        quant, kind = self.tensors[x].quant, self.pick("RELU", "RELU6", "ADD", "MUL", "MAXIMUM", "QUANTIZE")
        if kind in ("RELU", "RELU6"):
            return self.add(kind, [x], quant)
        if kind == "QUANTIZE":
            return self.add(kind, [x], Quant.of(quant.per_tensor[0], self.pick(_LOW, -20, 0)))
        data = np.full(self.pick((1,), (self.channels(x),)), quant.per_tensor[1], np.int8)
        if self.pick(True, False):
            data = self.random(-10, 10, data.shape) if kind == "ADD" else self.random(-128, 127, data.shape)
        other = quant if kind != "MUL" else Quant.of(1.0 / 64)
        attrs = {} if kind == "MAXIMUM" else {"activation": "NONE"}
        return self.add(kind, [x, self.const(data, other)], quant, attrs)

    def viewed(self, x: int) -> int:
        """Views that come back to an image."""
        n, h, w, c = self.tensors[x].shape
        for shape in ((n, h * w, c), (h * w * c,), self.pick((n, h, w, c), (n, w, h, c), (n, 1, h * w, c))):
            x = self.add("RESHAPE", [x, self.const(shape)], self.tensors[x].quant, shape=shape)
        return x

    def head(self, x: int) -> int:
        _, h, w, c = self.tensors[x].shape
        quant, how = self.tensors[x].quant, self.pick("pool", "mean", "flat")
        if how == "pool":
            window = {"filter_h": h, "filter_w": w, "stride_h": h, "stride_w": w, "padding": "VALID"}
            x = self.add("AVERAGE_POOL_2D", [x], quant, {**window, "activation": "NONE"})
            flat = self.add("SQUEEZE", [x], quant, shape=(1, c)) if c > 1 else x
        elif how == "mean":
            after = Quant.of(float(np.float32(quant.per_tensor[0] * self.pick(1.0, 0.7))), self.pick(_LOW, 5))
            flat = self.add("MEAN", [x, self.const([1, 2])], after, {"keep_dims": self.pick(True, False)})
        else:
            flat = self.add("RESHAPE", [x, self.const((1, h * w * c))], quant, shape=(1, h * w * c))
        depth = int(np.prod(self.tensors[flat].shape))
        weights = self.weights((3, depth), 0)
        scale = float(np.float32(self.tensors[flat].quant.per_tensor[0] * 0.7 * depth ** 0.5))
        return self.add("FULLY_CONNECTED", [flat, weights, self.bias(flat, weights, 3)], Quant.of(scale),
                        {"activation": "NONE", "keep_dims": False})


@st.composite
def network(draw) -> tuple[Graph, list[np.ndarray]]:
    """Two to four blocks and mostly a classifier."""
    net = _Blocks(draw, [(1, draw(st.integers(1, 7)), draw(st.integers(1, 7)), draw(st.sampled_from([1, 2, 3])))])
    x = net.pointwise(net.inputs[0], net.pick(2, 5))
    for _ in range(draw(st.integers(1, 3))):
        block = net.pick(net.separable, net.residual, net.residual, net.branches, net.padded, net.pointed, net.pointed,
                         net.viewed, net.unusual)
        x = block(x)
    last = net.head(x) if net.pick(True, True, False) else x
    graph = verify(net.graph((last,)))
    return graph, [net.random(-128, 127, graph.tensors[t].shape) for t in graph.inputs]


@st.composite
def padded_layer(draw) -> tuple[Graph, list[np.ndarray]]:
    """A PAD of rows and columns before a layer or a maximum."""
    net = _Blocks(draw, [(1, draw(st.integers(2, 8)), draw(st.integers(2, 8)), draw(st.sampled_from([1, 2, 5])))])
    graph = verify(net.graph((net.padded(net.pointwise(net.inputs[0], net.pick(1, 4, 6))),)))
    return graph, [net.random(-128, 127, graph.tensors[t].shape) for t in graph.inputs]


pruned_graphs = st.one_of(pruned(network()), pruned(network()), pruned(small_graph()))


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
