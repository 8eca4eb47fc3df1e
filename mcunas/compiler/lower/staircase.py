# SPDX-License-Identifier: Apache-2.0
"""Requantization as a staircase: two 32-bit multiplications that give TFLite Micro's output for every accumulator.

The output byte is a staircase over the accumulator. For each channel all its steps that the weights can reach are
computed with the exact arithmetic, then a line (multiplier and offset) is sought that has the same steps. Both are
monotone, so equal values on both sides of every step make them equal everywhere: that is the proof, and a channel
without such a line leaves the layer to the portable kernel. Parameters: firmware/kernels/mn_staircase.h.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcunas.graph.arithmetic import clamp_int8, scale_int32
from mcunas.graph.integer_params import Requant

_LIMIT = 1 << 30               # of sums with their bias
_FINE_BITS, _ONE = 13, 24      # of the multiplier's lower part; an output step is 2^24
_REACH = 1 << 19
_CANDIDATES = np.concatenate([[0], np.repeat(np.arange(1, 33), 2) * np.tile([1, -1], 32)])


@dataclass(frozen=True, eq=False)
class Staircase:
    """words: int32 (channels, 4), or 5 with `signs`, as the kernels read them."""

    words: np.ndarray
    signs: bool


def staircase(p: Requant, weights: np.ndarray, bias: np.ndarray) -> Staircase | None:
    """For weights (channels, inputs) and folded biases (channels,); None where no line has the same steps."""
    w = weights.astype(np.int64)
    ends = np.stack([np.where(w > 0, -128, 127), np.where(w > 0, 127, -128)])
    least, most = ((w * e).sum(axis=1) + bias for e in ends)
    multiplier, shift = (np.broadcast_to(v, bias.shape) for v in (p.multiplier, p.shift))
    if shift.max() > 0 or least.min() < -_LIMIT or most.max() > _LIMIT:
        return None
    channels = [_Channel(int(least[c]), int(most[c]), int(bias[c]), int(multiplier[c]), int(shift[c]), p)
                for c in range(bias.size)]
    rows = [channel.words() for channel in channels]
    if any(row is None for row in rows):
        return None
    words = np.array(rows, np.int64)
    signs = bool((words[:, 4] > 0).any())
    return Staircase(_int32(words if signs else words[:, :4]), signs)


@dataclass(frozen=True, eq=False)
class _Channel:
    """least, most: the accumulator's range, bias included."""

    least: int
    most: int
    bias: int
    multiplier: int
    shift: int
    p: Requant

    def output(self, acc: np.ndarray) -> np.ndarray:
        scaled = scale_int32(acc, self.multiplier, self.shift) + self.p.output_zero_point
        return clamp_int8(scaled, self.p.low, self.p.high).astype(np.int64)

    def words(self) -> tuple[int, ...] | None:
        """origin, c, reach and fine, coarse and exponent, zero (0: no sign matters)."""
        low, high = (int(v) for v in self.output(np.array([self.least, self.most])))
        if low == high:
            return 0, (low << _ONE) + (1 << _ONE - 1), 0, 0, 0
        levels = np.arange(low + 1, high + 1)
        steps = self._steps(levels)
        origin, reach = int(steps[0]) - 1, int(steps[-1] - steps[0]) + 1
        if reach >= _REACH:
            return None
        exponent = _ONE + self.shift if -_ONE <= self.shift < 0 else 0
        zero = min(max(-origin, 0), reach + 1)
        line = self._line(steps - origin, (levels - low) << _ONE, (1 << exponent) if zero else 0, zero)
        if line is None:
            return None
        m, offset = line
        c = (low << _ONE) + offset
        return (origin - self.bias, c, reach << _FINE_BITS | m & (1 << _FINE_BITS) - 1,
                m >> _FINE_BITS << 5 | exponent, zero)

    def _steps(self, levels: np.ndarray) -> np.ndarray:
        """The least accumulator that reaches each level."""
        near = (levels - self.p.output_zero_point - 0.5) * 2.0 ** (31 - self.shift) / self.multiplier
        near = np.clip(near, self.least, self.most).astype(np.int64)
        below, reached = np.maximum(near - 4, self.least), np.minimum(near + 4, self.most)
        off = (self.output(below) >= levels) | (self.output(reached) < levels)
        below[off], reached[off] = self.least, self.most
        while (reached - below > 1).any():
            middle = (below + reached) >> 1
            is_there = self.output(middle) >= levels
            below, reached = np.where(is_there, below, middle), np.where(is_there, middle, reached)
        return reached

    def _line(self, steps: np.ndarray, heights: np.ndarray, tie: int, zero: int) -> tuple[int, int] | None:
        """(multiplier, offset) with value(step) + offset >= height > value(step - 1) + offset at every step."""
        ideal = round(self.multiplier * 2.0 ** (_ONE + _FINE_BITS - 31 + self.shift))
        for m in ideal + _CANDIDATES:
            if not 0 < m >> _FINE_BITS < 1 << 27:
                continue

            def value(a: np.ndarray, m: int = m) -> np.ndarray:
                line = a * (m >> _FINE_BITS) + (a * (m & (1 << _FINE_BITS) - 1) >> _FINE_BITS)
                return line - np.where(a < zero, tie, 0)

            at_least = max(0, int((heights - value(steps)).max()), tie if zero else 0)
            at_most = int((heights - 1 - value(steps - 1)).min())
            at_most = min(at_most, (heights.size + 1 << _ONE) - 1 - int(value(steps[-1:])[0]))
            if at_least <= at_most:
                return int(m), (at_least + at_most) // 2
        return None


def _int32(words: np.ndarray) -> np.ndarray:
    wrapped = words & 0xFFFFFFFF
    return (wrapped - (wrapped >> 31 << 32)).astype(np.int32)
