# SPDX-License-Identifier: Apache-2.0
"""Random layers for the vector kernels: many channels, tails of every kind, multipliers below one."""
from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from mcunas.graph import Graph, Op, Quant, Tensor
from tests.kernels import strategies as plain
from tests.kernels.strategies import Case

_CHANNELS = st.one_of(st.integers(1, 40), st.sampled_from([7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100]))


@st.composite
def pointwise(draw) -> Case:
    n, h, w = 1, draw(st.integers(1, 4)), draw(st.integers(1, 5))
    depth, outputs = draw(_CHANNELS), draw(_CHANNELS)
    attrs = plain._conv_attrs([1, 1], [1, 1], draw(st.sampled_from(plain.PADDINGS)), draw(plain._ACTIVATIONS))
    return draw(plain._layer("CONV_2D", (n, h, w, depth), (outputs, 1, 1, depth), (n, h, w, outputs), attrs, 0, depth))


@st.composite
def fully_connected(draw) -> Case:
    depth, outputs = draw(st.one_of(_CHANNELS, st.integers(1, 700))), draw(_CHANNELS)
    n = draw(st.integers(1, 3))
    return draw(plain._layer("FULLY_CONNECTED", (n, depth), (outputs, depth), (n, outputs),
                             {"activation": draw(plain._ACTIVATIONS), "keep_dims": False}, 0, depth))


def _out(size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    return -(-size // stride) if padding == "SAME" else (size - (kernel - 1) * dilation - 1) // stride + 1


@st.composite
def _window(draw, kernels: st.SearchStrategy, dilations: st.SearchStrategy) -> tuple:
    """(sizes, kernels, strides, dilations, output sizes, padding), two axes each."""
    padding, axes = draw(st.sampled_from(plain.PADDINGS)), []
    for _ in range(2):
        kernel, stride, dilation = draw(kernels), draw(st.sampled_from([1, 1, 2, 3])), draw(dilations)
        size = draw(st.integers(1, 9)) + ((kernel - 1) * dilation if padding == "VALID" else 0)
        axes.append((size, kernel, stride, dilation, _out(size, kernel, stride, dilation, padding)))
    return *map(list, zip(*axes)), padding


@st.composite
def conv_2d(draw) -> Case:
    sizes, kernels, strides, dilations, outs, padding = draw(_window(st.sampled_from([1, 2, 3, 3, 5]), st.just(1)))
    if draw(st.integers(0, 3)) == 0:
        dilations[0] = 2
        sizes[0] += 2 * (kernels[0] - 1) if padding == "VALID" else 0
        outs[0] = _out(sizes[0], kernels[0], strides[0], 2, padding)
    depth, channels = draw(st.sampled_from([1, 2, 3, 4, 5, 8, 16, 17])), draw(_CHANNELS)
    return draw(plain._layer("CONV_2D", (1, *sizes, depth), (channels, *kernels, depth), (1, *outs, channels),
                             plain._conv_attrs(strides, dilations, padding, draw(plain._ACTIVATIONS)), 0,
                             kernels[0] * kernels[1] * depth))


@st.composite
def depthwise(draw) -> Case:
    sizes, kernels, strides, dilations, outs, padding = draw(
        _window(st.sampled_from([1, 2, 3, 3, 3]), st.sampled_from([1, 1, 2])))
    channels = draw(st.one_of(st.integers(8, 40), st.sampled_from([8, 16, 24, 32, 33, 48, 64])))
    attrs = plain._conv_attrs(strides, dilations, padding, draw(plain._ACTIVATIONS)) | {"depth_multiplier": 1}
    return draw(plain._layer("DEPTHWISE_CONV_2D", (1, *sizes, channels), (1, *kernels, channels),
                             (1, *outs, channels), attrs, 3, kernels[0] * kernels[1]))


@st.composite
def total(draw, kind: str) -> Case:
    shape = draw(st.sampled_from([(1, 5, 3, 7), (1, 1, 1, 1), (3, 4), (1, 2, 9, 8), (1, 4, 4, 16)]))
    scale, ratio = draw(st.floats(2.0 ** -10, 2.0, width=32)), draw(st.floats(0.01, 0.99))
    scales = [scale, float(np.float32(scale * ratio))]
    if draw(st.booleans()):
        scales.reverse()
    scales.append(float(np.float32(scale * draw(st.floats(0.1, 4.0)))))
    tensors = tuple(Tensor(name, shape, "int8", Quant.of(s, draw(plain._ZERO_POINTS))) for name, s in zip("aby", scales))
    graph = Graph(tensors, (Op(kind, (0, 1), (2,), {"activation": draw(plain._ACTIVATIONS)}),), (0, 1), (2,))
    return plain._legal(graph), [draw(plain._filled(shape)), draw(plain._filled(shape))]


CASES = {"ADD": total("ADD"), "SUB": total("SUB"), "CONV_2D": conv_2d(), "pointwise": pointwise(),
         "DEPTHWISE_CONV_2D": depthwise(), "FULLY_CONNECTED": fully_connected()}
