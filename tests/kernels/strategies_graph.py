# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategy: random small networks of 3 to 8 ops over all kinds, with residual joins and shared inputs.

Every op reads activations (1, H, W, C) that exist already, so tensors are read more than once, live long, and end as
graph outputs while others still read them. Output scales follow the inputs' so that values stay spread over int8.
"""
from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from hypothesis import strategies as st

from mcunas.graph import Graph, Op, Quant, Tensor, verify
from mcunas.graph.shapes import infer
from mcunas.graph.spec import ACTIVATIONS, PADDINGS

_ZERO_POINTS = st.one_of(st.sampled_from([-128, -3, 0, 127]), st.integers(-40, 40))
_SPREAD = 70.0                # typical distance of an int8 value from its zero point
_MOST_ELEMENTS = 1500


class Net:
    """A graph under construction; `live` are the activations of rank 4 that further ops may read."""

    def __init__(self, draw: Callable, inputs: list[tuple[int, ...]]) -> None:
        self.draw = draw
        self.tensors: list[Tensor] = []
        self.ops: list[Op] = []
        self.live = [self._tensor(shape, self.quant(0.05)) for shape in inputs]
        self.inputs = list(self.live)

    def pick(self, *choices: object) -> object:
        return self.draw(st.sampled_from(choices))

    def quant(self, scale: float) -> Quant:
        return Quant.of(float(np.float32(scale * self.draw(st.floats(0.5, 2.0)))), self.draw(_ZERO_POINTS))

    def random(self, low: int, high: int, shape: tuple[int, ...], dtype: str = "int8") -> np.ndarray:
        rng = np.random.default_rng(self.draw(st.integers(0, 2 ** 32 - 1)))
        return rng.integers(low, high + 1, shape).astype(dtype)

    def _tensor(self, shape: tuple[int, ...], quant: Quant | None, data: np.ndarray | None = None,
                dtype: str = "int8") -> int:
        self.tensors.append(Tensor(f"t{len(self.tensors)}", shape, dtype, quant, data))
        return len(self.tensors) - 1

    def const(self, data: object, quant: Quant | None = None) -> int:
        array = np.asarray(data, np.int8 if quant is not None and quant.is_per_tensor else np.int32)
        return self._tensor(array.shape, quant, array, str(array.dtype))

    def weights(self, shape: tuple[int, ...], axis: int) -> int:
        scales = np.full(shape[axis], 0.01, np.float32) * np.linspace(0.5, 1, shape[axis], dtype=np.float32)
        return self._tensor(shape, Quant(scales, np.zeros(shape[axis], np.int64), axis), self.random(-127, 127, shape))

    def bias(self, x: int, w: int, channels: int) -> int:
        scales = self.tensors[x].quant.scale * self.tensors[w].quant.scale
        return self._tensor((channels,), Quant(scales, np.zeros(channels, np.int64)),
                            self.random(-20000, 20000, (channels,), "int32"), "int32")

    def add(self, kind: str, inputs: list[int], quant: Quant, attrs: dict | None = None, outputs: int = 1,
            shape: tuple[int, ...] = ()) -> int:
        """Appends the op (its shapes inferred unless it only renames) and returns its first output."""
        first = len(self.tensors)
        made = tuple(self._tensor(shape, quant) for _ in range(outputs))
        op = Op(kind, tuple(inputs), made, attrs or {})
        for t, found in zip(made, infer(self.graph(made), op)):
            self.tensors[t] = Tensor(self.tensors[t].name, found, "int8", quant)
        self.ops.append(op)
        self.live += [t for t in made if len(self.tensors[t].shape) == 4]
        return first

    def graph(self, outputs: tuple[int, ...]) -> Graph:
        return Graph(tuple(self.tensors), tuple(self.ops), tuple(self.inputs), tuple(outputs))


def _conv(net: Net, x: int) -> None:
    n, h, w, c = net.tensors[x].shape
    kernel = [net.pick(1, 2, 3), net.pick(1, 2, 3)]
    padding = net.pick(*PADDINGS) if h >= kernel[0] and w >= kernel[1] else "SAME"
    attrs = {"stride_h": net.pick(1, 1, 2), "stride_w": net.pick(1, 1, 2), "dilation_h": 1, "dilation_w": 1,
             "padding": padding, "activation": net.pick(*ACTIVATIONS)}
    if net.pick(True, False):
        multiplier = net.pick(1, 1, 2)
        kind, channels, shape, axis = "DEPTHWISE_CONV_2D", c * multiplier, (1, *kernel, c * multiplier), 3
        terms, attrs = kernel[0] * kernel[1], attrs | {"depth_multiplier": multiplier}
    else:
        channels = net.pick(1, 2, 3, 4, 8)
        kind, shape, axis, terms = "CONV_2D", (channels, *kernel, c), 0, kernel[0] * kernel[1] * c
    weights = net.weights(shape, axis)
    inputs = [x, weights, net.bias(x, weights, channels)] if net.pick(True, False) else [x, weights]
    net.add(kind, inputs, net.quant(net.tensors[x].quant.per_tensor[0] * 0.01 * _SPREAD * terms ** 0.5), attrs)


def _pool(net: Net, x: int) -> None:
    _, h, w, _ = net.tensors[x].shape
    attrs = {"filter_h": net.pick(1, 2, 3), "filter_w": net.pick(1, 2, 3), "stride_h": net.pick(1, 2),
             "stride_w": net.pick(1, 2), "activation": "NONE"}
    attrs["padding"] = net.pick(*PADDINGS) if h >= attrs["filter_h"] and w >= attrs["filter_w"] else "SAME"
    net.add(net.pick("AVERAGE_POOL_2D", "MAX_POOL_2D"), [x], net.tensors[x].quant, attrs)


def _join(net: Net, x: int) -> None:
    """ADD, SUB or MUL with an activation of the same shape (also itself) or a constant per channel."""
    tensor = net.tensors[x]
    y = net.pick(*[t for t in net.live if net.tensors[t].shape == tensor.shape], -1)
    if y < 0:
        y = net.const(net.random(-128, 127, (tensor.shape[3],)), net.quant(0.05))
    scales = [net.tensors[t].quant.per_tensor[0] for t in (x, y)]
    kind = net.pick("ADD", "ADD", "SUB", "MUL")
    scale = scales[0] * scales[1] * _SPREAD if kind == "MUL" else max(scales) * 1.4
    net.add(kind, [x, y] if net.pick(True, False) else [y, x], net.quant(scale), {"activation": net.pick(*ACTIVATIONS)})


def _extreme(net: Net, x: int) -> None:
    tensor = net.tensors[x]
    same = [t for t in net.live if net.tensors[t].shape == tensor.shape and net.tensors[t].quant.same_as(tensor.quant)]
    y = net.pick(*same, -1)
    y = net.const(net.random(-128, 127, (1, 1, tensor.shape[2], 1)), tensor.quant) if y < 0 else y
    net.add(net.pick("MAXIMUM", "MINIMUM"), [x, y], tensor.quant)


def _unary(net: Net, x: int) -> None:
    kind = net.pick("LOGISTIC", "TANH", "RELU", "RELU6", "HARD_SWISH", "LEAKY_RELU", "QUANTIZE")
    quant = net.tensors[x].quant
    after = {"LOGISTIC": Quant.of(1 / 256, -128), "TANH": Quant.of(1 / 128, 0), "RELU6": quant}.get(
        kind, net.quant(quant.per_tensor[0]))
    net.add(kind, [x], after, {"alpha": 0.125} if kind == "LEAKY_RELU" else None)


def _concatenate(net: Net, x: int) -> None:
    """Joins x with what fits it on an axis; other scales are brought to x's first."""
    shape, axis = net.tensors[x].shape, net.pick(1, 2, 3, 3)
    fits = [t for t in net.live if all(net.tensors[t].shape[k] == shape[k] for k in range(4) if k != axis)]
    parts = [x]
    for y in net.draw(st.lists(st.sampled_from(fits), min_size=1, max_size=2)):
        same = net.tensors[y].quant.same_as(net.tensors[x].quant)
        parts.append(y if same else net.add("QUANTIZE", [y], net.tensors[x].quant))
    net.add("CONCATENATION", parts, net.tensors[x].quant, {"axis": axis - net.pick(0, 4), "activation": "NONE"})


def _move(net: Net, x: int) -> None:
    tensor = net.tensors[x]
    quant, (n, h, w, c) = tensor.quant, tensor.shape
    kind = net.pick("PAD", "TRANSPOSE", "STRIDED_SLICE", "SPLIT", "DEPTH_TO_SPACE", "RESHAPE")
    if kind == "PAD":
        sides = [[net.pick(0, 1), net.pick(0, 1, 2)] for _ in "hw"]
        pads = [[0, 0], *sides, [0, net.pick(0, 0, 1)]]
        net.add(kind, [x, net.const(pads)], quant)
    elif kind == "TRANSPOSE":
        net.add(kind, [x, net.const([0, *net.draw(st.permutations([1, 2, 3]))])], quant)
    elif kind == "STRIDED_SLICE":
        begin, step = [0, net.pick(0, h - 1), 0, net.pick(0, c // 2)], [1, net.pick(1, -1), net.pick(1, 2), 1]
        masks = dict.fromkeys(("begin_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0)
        inputs = [x, *(net.const(v) for v in (begin, [0, 0, 0, 0], step))]
        net.add(kind, inputs, quant, masks | {"end_mask": 15})
    elif kind == "SPLIT":
        parts = max(k for k in (1, 2, 3) if c % k == 0)
        net.add(kind, [net.const(net.pick(3, -1)), x], quant, {"num_splits": parts}, parts)
    elif kind == "DEPTH_TO_SPACE":
        net.add(kind, [x], quant, {"block_size": 2 if c % 4 == 0 else 1})
    else:
        shape = net.pick((n, w, h, c), (n, h, w * c, 1), (n, 1, 1, h * w * c))
        net.add(kind, [x, net.const(shape)], quant, shape=shape)


def _resize(net: Net, x: int) -> None:
    _, h, w, _ = net.tensors[x].shape
    attrs = {"align_corners": net.pick(True, False), "half_pixel_centers": False}
    size = [net.pick(d, 2 * d, max(1, d // 2), 5) for d in (h, w)]
    net.add(net.pick("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"), [x, net.const(size)], net.tensors[x].quant, attrs)


def _head(net: Net, x: int) -> int:
    """Mean or flattening, a dense layer, softmax."""
    tensor = net.tensors[x]
    if net.pick(True, False):
        flat = net.add("MEAN", [x, net.const([1, 2])], tensor.quant, {"keep_dims": False})
    else:
        shape = (1, tensor.elements)
        flat = net.add("RESHAPE", [x, net.const(shape)], tensor.quant, shape=shape)
    depth, scale = net.tensors[flat].shape[1], tensor.quant.per_tensor[0]
    weights = net.weights((5, depth), 0)
    dense = net.add("FULLY_CONNECTED", [flat, weights, net.bias(flat, weights, 5)],
                    net.quant(scale * 0.01 * _SPREAD * depth ** 0.5), {"activation": "NONE", "keep_dims": False})
    return net.add("SOFTMAX", [dense], Quant.of(1 / 256, -128), {"beta": 1.0})


_OPS = (_conv, _conv, _conv, _pool, _join, _join, _extreme, _unary, _concatenate, _move, _move, _resize)


@st.composite
def row_network(draw: Callable) -> tuple[Graph, list[np.ndarray]]:
    """A chain of ops that work row by row, with joins to earlier activations: much of it can be streamed."""
    net = Net(draw, [(1, draw(st.integers(1, 15)), draw(st.integers(1, 6)), draw(st.sampled_from([1, 2, 3, 4])))])
    for _ in range(draw(st.integers(3, 9))):
        net.pick(_conv, _conv, _conv, _conv, _pool, _join, _join, _extreme, _unary)(net, net.live[-1])
    read = {t for op in net.ops for t in op.inputs}
    graph = verify(net.graph(tuple(t for t in net.live if t not in read)))
    return graph, [net.random(-128, 127, graph.tensors[t].shape) for t in graph.inputs]


@st.composite
def small_graph(draw: Callable) -> tuple[Graph, list[np.ndarray]]:
    shapes = [(1, draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.sampled_from([1, 2, 3, 4])))
              for _ in range(draw(st.sampled_from([1, 1, 2])))]
    net = Net(draw, shapes)
    goal, head = draw(st.integers(3, 8)), draw(st.booleans())
    while len(net.ops) < goal - 3 * head or not net.ops:
        small = [t for t in net.live if prod(net.tensors[t].shape) <= _MOST_ELEMENTS]
        draw(st.sampled_from(_OPS))(net, draw(st.sampled_from(small)))
    last = _head(net, net.live[-1]) if head else net.live[-1]
    more = [t for op in net.ops for t in op.outputs if t != last]
    outputs = (last,) if not more or draw(st.booleans()) else (last, draw(st.sampled_from(more)))
    graph = verify(net.graph(outputs))
    return graph, [net.random(-128, 127, graph.tensors[t].shape) for t in graph.inputs]
