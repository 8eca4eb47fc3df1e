# SPDX-License-Identifier: Apache-2.0
"""Random layers for the vector kernels: many channels, tails of every kind, multipliers below one."""
from __future__ import annotations

from hypothesis import strategies as st

from tests.kernels import strategies as plain
from tests.kernels.strategies import Case
from tests.kernels.strategies_tensor import binary

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


@st.composite
def conv_2d(draw) -> Case:
    sizes, kernels, strides, dilations, outs, padding = draw(plain._windows(dilated=True))
    dilations = [dilations[0], 1]
    if draw(st.booleans()):
        outs[1] = -(-sizes[1] // strides[1]) if padding == "SAME" else (sizes[1] - kernels[1]) // strides[1] + 1
    else:
        return draw(plain.conv_2d())
    depth, channels = draw(st.sampled_from([1, 2, 3, 4, 5, 8, 16, 17])), draw(_CHANNELS)
    return draw(plain._layer("CONV_2D", (1, *sizes, depth), (channels, *kernels, depth), (1, *outs, channels),
                             plain._conv_attrs(strides, dilations, padding, draw(plain._ACTIVATIONS)), 0,
                             kernels[0] * kernels[1] * depth))


@st.composite
def depthwise(draw) -> Case:
    sizes, kernels, strides, dilations, outs, padding = draw(plain._windows(dilated=True))
    channels = draw(_CHANNELS)
    attrs = plain._conv_attrs(strides, dilations, padding, draw(plain._ACTIVATIONS)) | {"depth_multiplier": 1}
    return draw(plain._layer("DEPTHWISE_CONV_2D", (1, *sizes, channels), (1, *kernels, channels),
                             (1, *outs, channels), attrs, 3, kernels[0] * kernels[1]))


CASES = {"add": binary("ADD"), "sub": binary("SUB"), "depthwise": depthwise(), "conv_2d": conv_2d(), "pointwise": pointwise(), "fully_connected": fully_connected()}
