# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies: random single-op graphs of the layers with weights, pools, MEAN and SOFTMAX, with inputs.

Each draws (graph, inputs). Shapes lean to the awkward: one channel, one pixel, kernels larger than the input, strides
longer than the kernel. Multipliers are drawn and input scales derived from them, so that outputs are mostly neither
all saturated nor all zero; now and then the multiplier sits near the ends of what TFLite Micro takes.
"""
from __future__ import annotations

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

from mcunas.errors import InputError
from mcunas.graph import Graph, Op, Quant, Tensor, verify
from mcunas.graph.spec import ACTIVATIONS, PADDINGS

Case = tuple[Graph, list[np.ndarray]]


def _legal(graph: Graph) -> Graph:
    """The graph, or a rejected draw: some scales lie outside what TFLite Micro takes (mcunas/graph/limits.py)."""
    try:
        return verify(graph)
    except InputError:
        reject()

_ZERO_POINTS = st.one_of(st.integers(-128, 127), st.integers(-90, 90), st.sampled_from([-128, -127, -1, 0, 127]))
_SCALES = st.floats(2.0 ** -16, 16.0, width=32)
_SEEDS = st.integers(0, 2 ** 32 - 1)


@st.composite
def _filled(draw, shape: tuple[int, ...]) -> np.ndarray:
    """int8 data: random, or all at one end, or only the two ends."""
    kind = draw(st.sampled_from(["random"] * 6 + ["low", "high", "ends"]))
    if kind in ("low", "high"):
        return np.full(shape, -128 if kind == "low" else 127, np.int8)
    rng = np.random.default_rng(draw(_SEEDS))
    return rng.choice([-128, 127], shape).astype(np.int8) if kind == "ends" else rng.integers(
        -128, 128, shape).astype(np.int8)


@st.composite
def _weights(draw, shape: tuple[int, ...]) -> np.ndarray:
    return np.maximum(draw(_filled(shape)), draw(st.sampled_from([-127, -127, -127, -128])))


@st.composite
def _bias(draw, channels: int, typical: float) -> np.ndarray | None:
    """None, or int32 values that reach about as far as the products do; now and then as far as int32 does."""
    reach = draw(st.sampled_from([None, 0, *[int(typical)] * 6, 2 ** 31 - 1]))
    if reach is None:
        return None
    return np.random.default_rng(draw(_SEEDS)).integers(-reach, reach, channels, endpoint=True).astype(np.int32)


@st.composite
def _multiplier(draw, typical: float) -> float:
    """Output units per accumulator unit: mostly such that a typical accumulator spans some of the output's range."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.floats(2.0 ** -34, 64.0))
    return draw(st.floats(10.0, 300.0)) / typical


@st.composite
def _output_scale(draw, activation: str) -> float:
    """Any, or one at which the bound of a fused activation falls into the int8 range."""
    bound = {"RELU6": 6.0, "RELU_N1_TO_1": 1.0}.get(activation)
    if bound is None or draw(st.integers(0, 4)) == 0:
        return draw(_SCALES)
    return float(np.float32(bound / draw(st.floats(10.0, 250.0))))


@st.composite
def _layer(draw, kind: str, in_shape: tuple[int, ...], weight_shape: tuple[int, ...], out_shape: tuple[int, ...],
           attrs: dict, axis: int, terms: int, head: tuple[int, ...] = ()) -> Case:
    """A layer with weights; `head`: the value of TRANSPOSE_CONV's first input, its output shape."""
    channels = weight_shape[axis]
    count = channels if draw(st.booleans()) else 1
    spread = np.random.default_rng(draw(_SEEDS)).uniform(0.1, 1.0, count)
    w_scales = (draw(_SCALES) * spread).astype(np.float32)
    typical = 5000.0 * max(1, terms) ** 0.5         # of a sum of `terms` products of random bytes
    out_scale = draw(_output_scale(attrs["activation"]))
    in_scale = float(np.float32(draw(_multiplier(typical)) * out_scale / float(w_scales.max())))
    tensors = [Tensor("x", in_shape, "int8", Quant.of(in_scale, draw(_ZERO_POINTS))),
               Tensor("w", weight_shape, "int8", Quant(w_scales, np.zeros(count, np.int64), axis if count > 1 else 0),
                      draw(_weights(weight_shape)))]
    inputs = [0, 1]
    if head:
        tensors.append(Tensor("shape", (4,), "int32", None, np.array(head, np.int32)))
        inputs = [2, 1, 0]
    bias = draw(_bias(channels, typical))
    if bias is not None:
        quant = Quant((np.float32(in_scale) * w_scales).astype(np.float32), np.zeros(count, np.int64))
        tensors.append(Tensor("b", (channels,), "int32", quant, bias))
        inputs.append(len(tensors) - 1)
    tensors.append(Tensor("y", out_shape, "int8", Quant.of(out_scale, draw(_ZERO_POINTS))))
    graph = Graph(tuple(tensors), (Op(kind, tuple(inputs), (len(tensors) - 1,), attrs),), (0,), (len(tensors) - 1,))
    return _legal(graph), [draw(_filled(in_shape))]


@st.composite
def _windows(draw, dilated: bool) -> tuple[list, list, list, list, list, str]:
    """Two axes: (sizes, kernels, strides, dilations, output sizes, padding)."""
    padding = draw(st.sampled_from(PADDINGS))
    axes = []
    for _ in range(2):
        kernel, stride = draw(st.integers(1, 5)), draw(st.integers(1, 4))
        dilation = draw(st.sampled_from([1, 1, 2, 3])) if dilated else 1
        reach = (kernel - 1) * dilation + 1
        size = draw(st.integers(1, 9)) + (reach - 1 if padding == "VALID" else 0)
        out = -(-size // stride) if padding == "SAME" else (size - reach) // stride + 1
        axes.append((size, kernel, stride, dilation, out))
    return *map(list, zip(*axes)), padding


def _conv_attrs(strides: list[int], dilations: list[int], padding: str, activation: str) -> dict:
    return {"stride_h": strides[0], "stride_w": strides[1], "dilation_h": dilations[0], "dilation_w": dilations[1],
            "padding": padding, "activation": activation}


_BATCH = st.sampled_from([1, 1, 1, 2])
_ACTIVATIONS = st.sampled_from(("NONE", *ACTIVATIONS))


@st.composite
def conv_2d(draw) -> Case:
    sizes, kernels, strides, dilations, outs, padding = draw(_windows(dilated=True))
    if draw(st.integers(0, 3)) == 0:        # the pointwise convolution, which has its own kernel
        kernels, strides, dilations, outs = [1, 1], [1, 1], [1, 1], sizes
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    depth, per_group, n = draw(st.integers(1, 7)), draw(st.integers(1, 6)), draw(_BATCH)
    return draw(_layer("CONV_2D", (n, *sizes, depth * groups), (groups * per_group, *kernels, depth),
                       (n, *outs, groups * per_group), _conv_attrs(strides, dilations, padding, draw(_ACTIVATIONS)),
                       0, kernels[0] * kernels[1] * depth))


@st.composite
def depthwise_conv_2d(draw) -> Case:
    sizes, kernels, strides, dilations, outs, padding = draw(_windows(dilated=True))
    channels, multiplier, n = draw(st.integers(1, 9)), draw(st.sampled_from([1, 1, 2, 3])), draw(_BATCH)
    attrs = _conv_attrs(strides, dilations, padding, draw(_ACTIVATIONS)) | {"depth_multiplier": multiplier}
    return draw(_layer("DEPTHWISE_CONV_2D", (n, *sizes, channels), (1, *kernels, channels * multiplier),
                       (n, *outs, channels * multiplier), attrs, 3, kernels[0] * kernels[1]))


@st.composite
def fully_connected(draw) -> Case:
    depth, outputs, keep = draw(st.integers(1, 40)), draw(st.integers(1, 12)), draw(st.booleans())
    rows = draw(st.lists(st.integers(1, 3), max_size=3))
    batch = (int(np.prod(rows, dtype=int)),)
    in_shape = (*rows, depth) if keep or rows else (1, depth)
    return draw(_layer("FULLY_CONNECTED", in_shape, (outputs, depth), (*(rows if keep else batch), outputs),
                       {"activation": draw(_ACTIVATIONS), "keep_dims": keep}, 0, depth))


@st.composite
def transpose_conv(draw) -> Case:
    sizes, kernels, strides, _, outs, padding = draw(_windows(dilated=False))
    depth, channels, n = draw(st.integers(1, 6)), draw(st.integers(1, 5)), draw(_BATCH)
    attrs = {"stride_h": strides[0], "stride_w": strides[1], "padding": padding, "activation": draw(_ACTIVATIONS)}
    out_shape = (n, *sizes, channels)
    return draw(_layer("TRANSPOSE_CONV", (n, *outs, depth), (channels, *kernels, depth), out_shape, attrs, 0,
                       kernels[0] * kernels[1] * depth, head=out_shape))


@st.composite
def pool(draw, kind: str) -> Case:
    sizes, kernels, strides, _, outs, padding = draw(_windows(dilated=False))
    n, channels = draw(_BATCH), draw(st.integers(1, 9))
    quant = Quant.of(draw(st.floats(2.0 ** -10, 2.0, width=32)), draw(_ZERO_POINTS))
    attrs = {"filter_h": kernels[0], "filter_w": kernels[1], "stride_h": strides[0], "stride_w": strides[1],
             "padding": padding, "activation": draw(_ACTIVATIONS)}
    tensors = (Tensor("x", (n, *sizes, channels), "int8", quant), Tensor("y", (n, *outs, channels), "int8", quant))
    return _legal(Graph(tensors, (Op(kind, (0,), (1,), attrs),), (0,), (1,))), [draw(_filled(tensors[0].shape))]


@st.composite
def mean(draw) -> Case:
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=5)))
    axes = draw(st.lists(st.integers(-len(shape), len(shape) - 1), min_size=1, max_size=len(shape), unique=True))
    keep = draw(st.booleans())
    reduced = {a % len(shape) for a in axes}
    out = tuple(1 if i in reduced else s for i, s in enumerate(shape) if keep or i not in reduced)
    in_scale = draw(_SCALES)
    ratio = draw(st.floats(0.3, 4.0)) if draw(st.integers(0, 9)) else draw(st.floats(2.0 ** -33, 64.0))
    tensors = (Tensor("x", shape, "int8", Quant.of(in_scale, draw(_ZERO_POINTS))),
               Tensor("axes", (len(axes),), "int32", None, np.array(axes, np.int32)),
               Tensor("y", out, "int8", Quant.of(float(np.float32(in_scale / ratio)), draw(_ZERO_POINTS))))
    graph = Graph(tensors, (Op("MEAN", (0, 1), (2,), {"keep_dims": keep}),), (0,), (2,))
    return _legal(graph), [draw(_filled(shape))]


@st.composite
def softmax(draw) -> Case:
    shape = (*draw(st.lists(st.integers(1, 3), max_size=3)), draw(st.one_of(st.integers(1, 12), st.integers(1, 400))))
    beta = draw(st.one_of(st.just(1.0), st.floats(0.125, 8.0, width=32)))
    quant = Quant.of(draw(st.one_of(st.floats(2.0 ** -8, 1.0, width=32), st.floats(2.0 ** -22, 2.0 ** 12, width=32))),
                     draw(_ZERO_POINTS))
    tensors = (Tensor("x", shape, "int8", quant), Tensor("y", shape, "int8", Quant.of(1 / 256, -128)))
    graph = Graph(tensors, (Op("SOFTMAX", (0,), (1,), {"beta": beta}),), (0,), (1,))
    return _legal(graph), [draw(_filled(shape))]


CASES = {"CONV_2D": conv_2d(), "DEPTHWISE_CONV_2D": depthwise_conv_2d(), "FULLY_CONNECTED": fully_connected(),
         "TRANSPOSE_CONV": transpose_conv(), "AVERAGE_POOL_2D": pool("AVERAGE_POOL_2D"),
         "MAX_POOL_2D": pool("MAX_POOL_2D"), "MEAN": mean(), "SOFTMAX": softmax()}
