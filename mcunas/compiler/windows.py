# SPDX-License-Identifier: Apache-2.0
"""Where a sliding window meets the edge of its input, counted over all output pixels."""
from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple


class Edges(NamedTuple):
    """crossing: pixels whose window leaves the input. outside: kernel positions outside of it, over all pixels.

    singles: pixels that a convolution for two at a time puts together on their own: with windows over a side, or left over.
    pairs: neighbours in a row, each once, whose windows lie inside and one column apart.
    """

    crossing: int
    outside: int
    singles: int
    pairs: int


def edges(attrs: Mapping[str, Any], x: tuple, kernel: tuple[int, int], out: tuple) -> Edges:
    """x, out: NHWC, of which the channels may be anything."""
    same = attrs["padding"] != "VALID"
    return _edges(same, x[1], x[2], *kernel, attrs["stride_h"], attrs["stride_w"], attrs["dilation_h"],
                  attrs["dilation_w"], out[1], out[2])


def positions_inside(size: int, k: int, stride: int, count: int) -> int:
    """Of `count` windows of k positions over an axis of `size`, as SAME padding places them: the positions on the axis."""
    return _Axis.of(True, size, k, stride, 1, count).inside


@lru_cache(maxsize=4096)
def _edges(same: bool, height: int, width: int, kh: int, kw: int, stride_h: int, stride_w: int, dilation_h: int,
           dilation_w: int, out_h: int, out_w: int) -> Edges:
    rows, columns = _Axis.of(same, height, kh, stride_h, dilation_h, out_h), _Axis.of(same, width, kw, stride_w,
                                                                                    dilation_w, out_w)
    pixels = out_h * out_w
    singles = pixels % 2 if kh == kw == stride_h == stride_w == 1 else _singles(out_h, columns)
    return Edges(pixels - rows.whole * columns.whole, pixels * kh * kw - rows.inside * columns.inside, singles,
                 rows.whole * (columns.whole // 2) if stride_w == 1 else 0)


class _Axis(NamedTuple):
    """inside: kernel positions on the input, over one axis. before, whole: outputs whose window begins outside; outputs
    whose positions all lie inside. after: the others."""

    inside: int
    before: int
    whole: int
    after: int

    @staticmethod
    def of(same: bool, size: int, k: int, stride: int, dilation: int, count: int) -> _Axis:
        if not same:
            return _Axis(count * k, 0, count, 0)
        pad = max((count - 1) * stride + (k - 1) * dilation + 1 - size, 0) // 2
        counts = [sum(0 <= o * stride - pad + t * dilation < size for t in range(k)) for o in range(count)]
        whole, before = sum(c == k for c in counts), min(-(-pad // stride), count)
        return _Axis(sum(counts), before, whole, max(count - before - whole, 0))


def _singles(rows: int, columns: _Axis) -> int:
    """Pixels wait for the next one that is put together on its own, if it be in the next row."""
    found, waits = 0, False
    for _ in range(rows):
        left = columns.whole - (waits != columns.before % 2 and columns.whole > 0)
        found += columns.before + columns.after + columns.whole - left + left % 2
        waits = (waits + columns.before + columns.whole - left + left % 2 + columns.after) % 2 == 1
    return found
