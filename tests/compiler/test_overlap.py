# SPDX-License-Identifier: Apache-2.0
"""Distances between input and output that share memory: replayed byte by byte on small windows."""
from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mcunas.compiler.lower.overlap import window_overlap
from mcunas.graph.integer_params import Window
from mcunas.graph.shapes import window


@st.composite
def layers(draw):
    """(x, y, window, by channel): a SAME or VALID layer with at least one output pixel."""
    kernel, stride, dilation = ((draw(st.integers(1, 4)), draw(st.integers(1, 4))),
                                (draw(st.integers(1, 3)), draw(st.integers(1, 3))), (draw(st.integers(1, 2)), 1))
    padding, by_channel = draw(st.sampled_from(("SAME", "VALID"))), draw(st.booleans())
    size = [draw(st.integers((k - 1) * d + 1 if padding == "VALID" else 1, 9)) for k, d in zip(kernel, dilation)]
    out = [window(s, k, t, d, padding) for s, k, t, d in zip(size, kernel, stride, dilation)]
    channels = draw(st.integers(1, 3))
    out_channels = channels if by_channel else draw(st.integers(1, 5))
    return ((1, *size, channels), (1, out[0][0], out[1][0], out_channels),
            Window(kernel, stride, dilation, (out[0][1], out[1][1])), by_channel)


def intact(x, y, win, by_channel, distance, upwards) -> bool:
    """Does every read see the input byte, not an output byte? distance: input offset - output offset."""
    _, height, width, channels = x
    pixels = [(r, c) for r in range(y[1]) for c in range(y[2])]
    written: set[int] = set()
    for r, c in pixels if upwards else reversed(pixels):
        taps = [(r * win.stride[0] - win.pad[0] + i * win.dilation[0], c * win.stride[1] - win.pad[1] + j)
                for i in range(win.kernel[0]) for j in range(win.kernel[1])]
        at = (r * y[2] + c) * y[3]
        for out_channel in range(y[3]):
            read = (out_channel,) if by_channel else range(channels)
            for ty, tx in taps:
                if 0 <= ty < height and 0 <= tx < width:
                    if any(distance + (ty * width + tx) * channels + k in written for k in read):
                        return False
            written.add(at + out_channel)
    return True


@settings(max_examples=300, deadline=None)
@given(layers())
def test_every_read_comes_before_the_write_that_replaces_it(layer):
    overlap = window_overlap(*layer)
    assert intact(*layer, max(0, overlap.input_above), upwards=True)
    assert intact(*layer, -max(0, overlap.output_above), upwards=False)


@settings(max_examples=300, deadline=None)
@given(layers())
def test_the_distance_is_not_wasteful(layer):
    x, y, win, by_channel = layer
    distance, slack = window_overlap(*layer).input_above, 2 * max(x[3], y[3])
    if win.dilation == (1, 1) and distance > slack:
        assert not intact(*layer, distance - slack, upwards=True)
