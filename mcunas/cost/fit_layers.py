# SPDX-License-Identifier: Apache-2.0
"""The layers that prices are fitted to: of the shapes and values that small networks have, the same ones every time.

Weights are normal and each channel reaches its full range, as in trained networks: kernels of cores without a long multiply
add products up until 16 bits are full, so their work depends on how large weights are.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mcunas.graph.ir import Graph, Op, Quant, Tensor
from mcunas.graph.nibbles import with_int4
from mcunas.graph.shapes import infer
from mcunas.graph.spec import KINDS, WEIGHTED
from mcunas.graph.to_int8 import FIXED
from mcunas.graph.to_int16 import in_int16

_IN_INT16 = ("ADD", "AVERAGE_POOL_2D", "DEPTHWISE_CONV_2D", "LOGISTIC", "MAX_POOL_2D", "MEAN", "MUL", "SOFTMAX")
MOST_MACS = 500_000       # of a layer: what an emulated small core does in a second
_DEPTHWISE_KERNELS = (*((3, 3),) * 5, (5, 5), (5, 5), (9, 1), (9, 1))
_STEM_KERNELS = ((3, 3), (3, 3), (3, 3), (5, 5), (7, 7), (10, 4), (9, 1), (1, 1), (2, 2))


def one_op(kind: str, shapes: list[tuple[int, ...]], attrs: dict, constants: dict[int, np.ndarray] | None = None,
           per_channel: bool = True) -> Graph:
    """A Graph of a single op. shapes: of its data inputs. constants: input position -> int32 parameters.

    Weighted kinds take their weight's shape as the second shape; weights are random, a bias is added. per_channel: each
    output channel has a scale of its own. A convolution without activation has outputs of both signs, which not every
    kernel rounds as fast as those after a ReLU; after RELU6 there is room in a byte, so that outputs have to be limited.
    TRANSPOSE_CONV takes its output's shape as the constant 0.
    """
    random = np.random.default_rng(0)
    data = Quant.of(0.02, -128), Quant.of(0.03, 5)          # as after a ReLU, and before one
    weighted = kind in WEIGHTED
    tensors, inputs, graph_inputs = [], [], []
    for i, shape in enumerate(shapes):
        if weighted and i == 1:
            axis = 3 if kind == "DEPTHWISE_CONV_2D" else 0
            scale = random.uniform(0.001, 0.002, shape[axis] if per_channel else 1).astype(np.float32)
            scale = np.broadcast_to(scale, shape[axis])
            weight = Quant(scale, np.zeros(shape[axis], np.int64), axis)
            tensors.append(Tensor("w", shape, "int8", weight, _weights(random, shape, axis)))
            inputs.append(len(tensors) - 1)
            bias = Quant((scale * np.float32(0.02)).astype(np.float32), np.zeros(shape[axis], np.int64), 0)
            tensors.append(Tensor("b", (shape[axis],), "int32", bias, np.zeros(shape[axis], np.int32)))
        else:
            tensors.append(Tensor(f"x{i}", shape, "int8", data[0 if KINDS[kind].same_quant else i]))
            graph_inputs.append(len(tensors) - 1)
        inputs.append(len(tensors) - 1)
    for position, values in sorted((constants or {}).items()):
        tensors.append(Tensor(f"c{position}", values.shape, "int32", None, values))
        inputs.insert(position, len(tensors) - 1)
    if kind == "TRANSPOSE_CONV":
        inputs[1:3] = inputs[2], inputs[1]
    zero_point = 5 if kind in ("CONV_2D", "DEPTHWISE_CONV_2D") and attrs["activation"] == "NONE" else -128
    out = Quant.of(*FIXED[kind]) if kind in FIXED else data[0] if KINDS[kind].same_quant else Quant.of(0.04, zero_point)
    op = Op(kind, tuple(inputs), (len(tensors),), attrs)
    shape = infer(Graph((*tensors, Tensor("y", (1,), "int8", out)), (op,), tuple(graph_inputs), op.outputs), op)[0]
    return Graph((*tensors, Tensor("y", shape, "int8", out)), (op,), tuple(graph_inputs), op.outputs)


def _weights(random: np.random.Generator, shape: tuple[int, ...], axis: int) -> np.ndarray:
    drawn = random.normal(size=shape)
    reach = np.abs(drawn).max(axis=tuple(k for k in range(len(shape)) if k != axis), keepdims=True)
    return np.rint(127 * drawn / reach).astype(np.int8)


def layers(count: int = 48) -> Iterator[Graph]:
    """Layers of small networks, those with weights once more with int4 weights, many once more on int16 activations."""
    for n, graph in enumerate(int8_layers(count)):
        yield graph
        weighted = graph.ops[0].kind in WEIGHTED
        if weighted:
            yield with_int4(graph, [0])
        if graph.ops[0].kind in _IN_INT16 or (weighted and n % 7 in (0, 2, 5)):
            yield in_int16(graph)
        if graph.ops[0].kind == "ADD":
            yield from _conversions(graph.tensors[graph.inputs[0]].shape)
    for graph in _transposed(2 * count):
        yield from (graph, in_int16(graph))
    yield from _in_columns(count // 2)


def _conversions(shape: tuple[int, ...]) -> Iterator[Graph]:
    """QUANTIZE to, from and within int16."""
    given = one_op("QUANTIZE", [shape], {})
    wide = (replace(given.tensors[0], dtype="int16", quant=Quant.of(0.0002)),
            replace(given.tensors[1], dtype="int16", quant=Quant.of(0.0003)))
    for tensors in ((given.tensors[0], wide[1]), (wide[0], given.tensors[1]), wide):
        yield given.with_(tensors=tensors)


def _transposed(count: int) -> Iterator[Graph]:
    """Transposed convolutions, as decoders have them."""
    random = np.random.default_rng(2)
    while count:
        side, c, out, k, stride = (int(random.choice(of)) for of in (
            [4, 5, 8, 10, 16], [2, 6, 8, 15, 16, 32], [1, 3, 8, 16, 18, 32], [2, 3, 4], [1, 2, 2]))
        padding = str(random.choice(["SAME", "VALID"]))
        size = side * stride if padding == "SAME" else (side - 1) * stride + max(k, stride)
        if (side * k) ** 2 * c * out > MOST_MACS:
            continue
        attrs = {"stride_h": stride, "stride_w": stride, "padding": padding, "activation": "NONE"}
        result = np.array([1, size, size, out], np.int32)
        yield one_op("TRANSPOSE_CONV", [(1, side, side, c), (out, k, k, c)], attrs, {0: result})
        count -= 1


def _in_columns(count: int) -> Iterator[Graph]:
    """Images cut between columns and put side by side, which patches (mcunas.compiler.patches) are made of."""
    random = np.random.default_rng(3)
    for _ in range(count):
        height, left, right, c = (int(random.integers(1, most)) for most in (40, 30, 30, 50))
        yield one_op("CONCATENATION", [(1, height, left, c), (1, height, right, c)], {"axis": 2, "activation": "NONE"})
        ends = [[0, 0, left, 0], [1, height, left + right, c], [1, 1, 1, 1]]
        masks = dict.fromkeys(("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0)
        yield one_op("STRIDED_SLICE", [(1, height, left + right, c)], masks,
                     {k + 1: np.array(values, np.int32) for k, values in enumerate(ends)})


def int8_layers(count: int) -> Iterator[Graph]:
    """Log-uniform in their channels, half of which are multiples of four or eight, as people choose them."""
    draw = _Draw(1)
    for n in range(count):
        attrs, side, k = draw.window(int(draw.random.choice([3, 3, 3, 5])))
        while True:
            c, out = draw.channels(2, 96), draw.channels(2, 96)
            if (side // attrs["stride_h"]) ** 2 * k * k * c * out <= MOST_MACS:
                break
        yield one_op("CONV_2D", [(1, side, side, c), (out, k, k, c)], attrs)
        # the narrow, odd widths that pruning leaves
        attrs, side, k = draw.window(3)
        c, out = (int(v) for v in draw.random.integers(3, 20, 2))
        yield one_op("CONV_2D", [(1, min(side, 16), min(side, 16), c), (out, k, k, c)], attrs)
        yield from _stems(draw)
        while True:
            side, c, out, stride = draw.size(), draw.channels(2, 160), draw.channels(2, 160), 1 + (n % 4 == 3)
            if (side // stride) ** 2 * c * out <= MOST_MACS:
                break
        yield one_op("CONV_2D", [(1, side, side, c), (out, 1, 1, c)], {**attrs, "stride_h": stride, "stride_w": stride})
        for _ in range(3):
            kh, kw = _DEPTHWISE_KERNELS[draw.random.integers(len(_DEPTHWISE_KERNELS))]
            attrs, side, _ = draw.window(kw)
            height, c = max(side, kh) + int(draw.random.random() < 0.3), draw.channels(2, 128)
            width = side if kw > 1 else 1
            attrs |= {"stride_w": attrs["stride_w"] if kw > 1 else 1, "depth_multiplier": 1}
            yield one_op("DEPTHWISE_CONV_2D", [(1, height, width, c), (1, kh, kw, c)], attrs)
        for _ in range(2):
            c, out = draw.channels(4, 700), draw.channels(2, 160)
            yield one_op("FULLY_CONNECTED", [(1, c), (out, c)], {"activation": "NONE", "keep_dims": False})
        if n % 4 == 0:
            yield from _plain_layers((1, side, side, draw.channels(2, 64)), draw.channels(2, 40))
    for _ in range(count):
        c, out = draw.channels(4, 700), draw.channels(2, 160)
        yield one_op("FULLY_CONNECTED", [(1, c), (out, c)], {"activation": "NONE", "keep_dims": False}, per_channel=False)


def _stems(draw: _Draw) -> Iterator[Graph]:
    """First convolutions: of grey or coloured images, spectrograms, and series of a few sensors."""
    for channels in ((1,), (1, 2, 3, 3, 4, 6)):
        c, (kh, kw) = int(draw.random.choice(channels)), _STEM_KERNELS[draw.random.integers(len(_STEM_KERNELS))]
        attrs, _, _ = draw.window(3)
        while True:
            out, height = draw.channels(2, 64), max(int(draw.random.integers(8, 50)), kh)
            width = 1 if kw == 1 < kh else max(height if draw.random.random() < 0.7 else draw.size(), kw)
            if height * width // attrs["stride_h"] ** 2 * kh * kw * c * out <= MOST_MACS:
                break
        if width == 1:
            attrs["stride_w"] = 1
        yield one_op("CONV_2D", [(1, height, width, c), (out, kh, kw, c)], attrs)


class _Draw:
    """What layers are made of, at random."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def channels(self, low: int, high: int) -> int:
        drawn = round(float(np.exp(self.random.uniform(np.log(low), np.log(high)))))
        step = int(self.random.choice([1, 4, 8], p=[0.45, 0.15, 0.4]))
        return max(drawn // step, 1) * step

    def size(self) -> int:
        return int(self.random.choice([4, 5, 7, 8, 10, 14, 16, 24, 28, 32]))

    def window(self, kernel: int) -> tuple[dict, int, int]:
        """(attributes, image size, kernel size)"""
        stride, padding = int(self.random.choice([1, 1, 2])), "SAME" if self.random.random() < 0.7 else "VALID"
        activation = str(self.random.choice(["RELU", "RELU6", "NONE"], p=[0.6, 0.15, 0.25]))
        attrs = {"stride_h": stride, "stride_w": stride, "dilation_h": 1, "dilation_w": 1, "activation": activation,
                 "padding": padding}
        return attrs, max(self.size(), kernel), kernel


def _plain_layers(shape: tuple[int, ...], classes: int) -> Iterator[Graph]:
    """Layers without weights."""
    plain = {"activation": "NONE"}
    yield one_op("ADD", [shape, shape], {"activation": "RELU"})
    yield one_op("MUL", [shape, shape], plain)
    for side in {2, shape[1] // 2, shape[1]}:
        pool = {"filter_h": side, "filter_w": side, "stride_h": side, "stride_w": side, "padding": "VALID", **plain}
        yield one_op("AVERAGE_POOL_2D", [shape], pool)
        yield one_op("MAX_POOL_2D", [shape], pool)
    yield one_op("MEAN", [shape], {"keep_dims": False}, {1: np.array([1, 2], np.int32)})
    yield one_op("CONCATENATION", [shape, (*shape[:3], classes)], {"axis": 3, "activation": "NONE"})
    yield one_op("MAXIMUM", [shape, shape], {})
    twice = {1: np.array([2 * shape[1], 2 * shape[2]], np.int32)}
    for kind in ("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"):
        yield one_op(kind, [shape], {"align_corners": False, "half_pixel_centers": False}, twice)
    yield one_op("DEPTH_TO_SPACE", [(*shape[:3], 4 * (1 + classes // 4))], {"block_size": 2})
    yield one_op("TRANSPOSE", [shape], {}, {1: np.array([0, 3, 1, 2], np.int32)})
    yield one_op("LOGISTIC", [shape], {})
    yield one_op("SOFTMAX", [(1, classes)], {"beta": 1.0})
    yield one_op("PAD", [shape], {}, {1: np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)})
