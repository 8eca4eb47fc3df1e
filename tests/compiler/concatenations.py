# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategy: random small networks of concatenations and slices along channels: Ghost modules, branches,
dense blocks, halves that go their own ways.

Parts have the whole's quantization. Now and then somebody else reads a part too, or something stands between producer
and concatenation that cannot write with a step, so that a copy has to stay.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from hypothesis import strategies as st

from mcunas.graph import Graph, Quant, verify
from mcunas.graph.spec import ACTIVATIONS
from tests.kernels.strategies_graph import _SPREAD, Net, _conv, _join, _pool, _unary


def convolution(net: Net, x: int, channels: int, kernel: tuple[int, int], quant: Quant | None = None, stride: int = 1,
                depthwise: bool = False) -> int:
    """channels: of the output, for a depthwise one per input channel. quant: of the output, chosen if left out."""
    depth, terms = net.tensors[x].shape[3], kernel[0] * kernel[1]
    attrs = {"stride_h": stride, "stride_w": stride, "dilation_h": 1, "dilation_w": 1, "padding": "SAME",
             "activation": net.pick(*ACTIVATIONS)}
    if depthwise:
        attrs, channels = attrs | {"depth_multiplier": channels}, depth * channels
        shape, axis = (1, *kernel, channels), 3
    else:
        shape, axis, terms = (channels, *kernel, depth), 0, terms * depth
    scale = net.tensors[x].quant.per_tensor[0] * 0.01 * _SPREAD * terms ** 0.5
    weights = net.weights(shape, axis)
    if quant is not None:       # weights whose products fit it
        tensor, change = net.tensors[weights], quant.per_tensor[0] / scale
        scales = (tensor.quant.scale * np.float32(change)).astype(np.float32)
        weights = net._tensor(shape, Quant(scales, tensor.quant.zero_point, axis), tensor.data)
    return net.add("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [x, weights, net.bias(x, weights, channels)],
                   quant or net.quant(scale), attrs)


def concatenation(net: Net, parts: list[int]) -> int:
    return net.add("CONCATENATION", parts, net.tensors[parts[0]].quant, {"axis": net.pick(3, -1), "activation": "NONE"})


def ghost(net: Net, x: int) -> None:
    """Ghost module: half of the channels by a cheap depthwise convolution of the other half."""
    kernel = net.pick((1, 1), (1, 1), (3, 3))
    primary = convolution(net, x, net.pick(1, 3, 4, 5, 8, 9, 16), kernel, stride=net.pick(1, 1, 2))
    cheap = convolution(net, primary, net.pick(1, 1, 1, 2), net.pick((3, 3), (3, 3), (1, 1), (2, 3)),
                        net.tensors[primary].quant, depthwise=True)
    concatenation(net, [primary, cheap])


def branches(net: Net, x: int) -> None:
    first = convolution(net, x, net.pick(1, 4, 7), (1, 1))
    quant = net.tensors[first].quant
    parts = [first, convolution(net, x, net.pick(2, 4, 9), net.pick((1, 1), (3, 3)), quant),
             convolution(net, x, 1, (3, 3), quant, depthwise=True)]
    concatenation(net, parts[:net.pick(2, 3)])


def dense(net: Net, x: int) -> None:
    """What is there, and what follows from it; again and again it nests."""
    concatenation(net, [x, convolution(net, x, net.pick(2, 4), net.pick((1, 1), (1, 1), (3, 3)), net.tensors[x].quant)])


def cut(net: Net, x: int) -> None:
    """Some of the channels, and who reads them."""
    n, h, w, c = net.tensors[x].shape
    first = net.draw(st.integers(0, c - 1))
    masks = dict.fromkeys(("begin_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask", "end_mask"), 0)
    begin, end = [0, 0, 0, first], [n, h, w, net.draw(st.integers(first + 1, c))]
    part = net.add("STRIDED_SLICE", [x, net.const(begin), net.const(end), net.const([1] * 4)], net.tensors[x].quant, masks)
    for _ in range(net.pick(1, 1, 2)):
        convolution(net, part, net.pick(1, 2), net.pick((1, 1), (3, 3)), depthwise=net.pick(True, False))


def split(net: Net, x: int) -> None:
    """Halves that go their own ways, and together again."""
    if net.tensors[x].shape[3] % 2 == 0:
        left = net.add("SPLIT", [net.const(3), x], net.tensors[x].quant, {"num_splits": 2}, 2)
        other = convolution(net, left + 1, 1, (3, 3), net.tensors[x].quant, depthwise=True)
        concatenation(net, [net.pick(left, convolution(net, left, 4, (1, 1), net.tensors[x].quant)), other])


_BLOCKS = (ghost, cut, split, ghost, ghost, ghost, branches, dense, dense, _conv, _join, _pool, _unary)


@st.composite
def concatenating_network(draw: Callable) -> tuple[Graph, list[np.ndarray]]:
    net = Net(draw, [(1, draw(st.integers(1, 9)), draw(st.integers(1, 7)), draw(st.sampled_from([1, 3, 4, 8])))])
    for block in [ghost, *draw(st.lists(st.sampled_from(_BLOCKS), min_size=1, max_size=4))]:
        recent = net.live[-1] if net.pick(True, True, True, False) else net.pick(*net.live)
        block(net, recent)
    read = {t for op in net.ops for t in op.inputs}
    graph = verify(net.graph(tuple(t for t in net.live if t not in read)))
    return graph, [net.random(-128, 127, graph.tensors[t].shape) for t in graph.inputs]


def ghost_net(channels: int = 16, size: int = 24, blocks: int = 3) -> Graph:
    """A fixed net of Ghost modules with random weights: a convolution, modules of growing width, a dense layer."""
    rng = np.random.default_rng(1)

    class Fixed(Net):
        def pick(self, *choices: object) -> object:
            return "NONE" if choices[0] in ACTIVATIONS else choices[0]

        def quant(self, scale: float) -> Quant:
            return Quant.of(float(np.float32(scale)), int(rng.integers(-20, 20)))

        def random(self, low: int, high: int, shape: tuple[int, ...], dtype: str = "int8") -> np.ndarray:
            return rng.integers(low, high + 1, shape).astype(dtype)

    net = Fixed(partial(lambda _: None), [(1, size, size, 3)])
    x = convolution(net, 0, channels, (3, 3), stride=2)
    for block in range(blocks):
        primary = convolution(net, x, channels << block, (1, 1), stride=1 + (block > 0))
        cheap = convolution(net, primary, 1, (3, 3), net.tensors[primary].quant, depthwise=True)
        x = concatenation(net, [primary, cheap])
    pooled = net.add("MEAN", [x, net.const([1, 2])], net.tensors[x].quant, {"keep_dims": False})
    weights = net.weights((10, net.tensors[pooled].shape[1]), 0)
    out = net.add("FULLY_CONNECTED", [pooled, weights, net.bias(pooled, weights, 10)], net.quant(0.5),
                  {"activation": "NONE", "keep_dims": False})
    return verify(Graph(tuple(net.tensors), tuple(net.ops), (0,), (out,), "ghost"))
