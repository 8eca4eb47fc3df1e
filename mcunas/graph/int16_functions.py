# SPDX-License-Identifier: Apache-2.0
"""LOGISTIC, TANH and SOFTMAX on int16 as TFLite Micro computes them: tables with a straight line between two entries.

LOGISTIC and TANH share a table of the logistic function, since tanh(x) = 2 logistic(2 x) - 1 and both are odd about their
centre. SOFTMAX has tables of exp on [-10, 0] and of 1 / (1 + x) on [0, 1]. Entries lie beside the curve, by half of what
the line between them misses in the middle of its step.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from mcunas.graph.arithmetic import quantize_multiplier, scale_int32
from mcunas.graph.ir import Graph, Op

OUTPUT_SCALE = 1 / 32768          # of all three
_TABLE_STEPS = 24                 # of the logistic table, to 1
_FINEST_SHIFT = 30                # of a multiplier of 15 bits
_NEAR_POWER, _UNSURE = 1e-3, 1e-5       # what TFLite takes for a power of two, in octaves; where its float32 may disagree


@dataclass(frozen=True)
class SigmoidParams:
    """The argument in steps of the table, with `fraction` bits behind the point: (q * multiplier + half) >> shift.

    d, the distance from the centre, is the line between two entries less 2^(15 + fraction), or `most` beyond the last one;
    out = (offset + d + half) >> out_shift, below the centre (offset - d + half - 1) >> out_shift.
    """

    multiplier: int
    shift: int
    fraction: int
    most: int
    offset: int
    out_shift: int


@dataclass(frozen=True)
class WideSoftmaxParams:
    """Scaling of (value - row maximum): 65535 steps to 10."""

    multiplier: int
    shift: int


def sigmoid_params(graph: Graph, op: Op) -> SigmoidParams:
    """LOGISTIC and TANH. Raises ValueError where TFLite Micro cannot represent the input's scale."""
    scale, is_tanh = graph.tensors[op.inputs[0]].quant.per_tensor[0], op.kind == "TANH"
    multiplier, shift = _argument(scale, (0, 1) if is_tanh else (0,))
    if is_tanh:
        return SigmoidParams(multiplier, shift, 8, 32767 << 8, 0, 8)
    return SigmoidParams(multiplier, shift, 9, 16383 << 10, 1 << 24, 10)


def _argument(scale: float, exact: tuple[int, ...]) -> tuple[int, int]:
    """(multiplier of 15 bits, right shift) of the input's scale to 1/12288. exact: exponents of a scale over 2^-12 that is
    all but a power of two and is taken for it."""
    octaves = math.log2(scale)
    power = round(octaves)
    apart = abs(octaves - power)
    if power + 12 in exact:
        if abs(apart - _NEAR_POWER) < _UNSURE:
            raise ValueError(f"the input scale {scale:g} is on the edge of what TFLite Micro takes for a power of two")
        if apart < _NEAR_POWER:
            return 3 << (power + 12), 0
    multiplier, shift = scale * 4096 * 3, 0
    while multiplier <= 32767 / 2 and shift <= _FINEST_SHIFT:
        multiplier, shift = 2 * multiplier, shift + 1
    if shift > _FINEST_SHIFT or multiplier >= 32768:
        raise ValueError(f"the input scale {scale:g} is too {'small' if shift else 'large'}")
    return int(multiplier), shift


@cache
def logistic_table() -> np.ndarray:
    """uint16 (256,): the logistic function at i / 24, in 1/65536."""
    def curve(x: np.ndarray) -> np.ndarray:
        return 65536 / (1 + np.exp(-x / _TABLE_STEPS))

    x = np.arange(256.0)
    missed = curve(x + 0.5) - (curve(x) + curve(x + 1)) / 2
    table = np.floor(curve(x) + missed / 2 + 0.5).astype(np.uint16)
    table[-1] = 65535
    table.flags.writeable = False
    return table


def sigmoid(p: SigmoidParams, q: np.ndarray) -> np.ndarray:
    """int16 values to int64 ones."""
    table, half = logistic_table().astype(np.int64), 1 << (p.out_shift - 1)
    x = (q.astype(np.int64) * p.multiplier + (1 << p.shift >> 1)) >> p.shift
    index, rest = np.abs(x) >> p.fraction, np.abs(x) & ((1 << p.fraction) - 1)
    at = np.minimum(index, 254)
    line = (table[at] << p.fraction) + rest * (table[at + 1] - table[at])
    d = np.where(index >= 255, p.most, line - (1 << (15 + p.fraction)))
    return (p.offset + np.where(x >= 0, d + half, half - 1 - d)) >> p.out_shift


def softmax_params(graph: Graph, op: Op) -> WideSoftmaxParams:
    """Raises ValueError where the scaled difference leaves int32."""
    scale, beta = graph.tensors[op.inputs[0]].quant.per_tensor[0], float(np.float32(op.attrs["beta"]))
    if not scale * beta > 0:
        raise ValueError(f"beta {beta:g} is not positive")
    found = quantize_multiplier(scale * beta / (10.0 / 65535.0))
    if found[1] > 15:               # |difference| < 2^16
        raise ValueError(f"beta {beta:g} times input scale {scale:g} is too large")
    return WideSoftmaxParams(*found)


@cache
def exp_table() -> np.ndarray:
    """int16 (513,): exp at -10 .. 0, in 1/32768."""
    return _lines(lambda x: np.exp(x), 10.0, 32767)


@cache
def reciprocal_table() -> np.ndarray:
    """int16 (513,): 1 / (1 + x) at 0 .. 1, in 1/32768."""
    return _lines(lambda x: 1 / (1 + x), 1.0, -32768)


def _lines(curve: Callable[[np.ndarray], np.ndarray], extent: float, zero_point: int) -> np.ndarray:
    """A curve at 513 places of an int16 input that spans `extent`; every step rounds to float32, as TFLite does it."""
    one, scale = np.float32, np.float32(extent) / np.float32(65535)
    unit = one(2) / one(65535)
    low, high = scale * one(-32768 - zero_point), scale * one(32767 - zero_point)
    step, scaling = (high - low) / one(512), one(65536) / (unit * one(32767) - unit * one(-32768))

    def at(x: np.ndarray) -> np.ndarray:
        return curve(x.astype(np.float64)).astype(np.float32) * scaling

    i = np.arange(512, dtype=np.float32)
    here, next_one, middle = at(low + i * step), at(low + (i + 1) * step), _rounded(at(low + i * step + step / one(2)))
    missed = _rounded((next_one + _rounded(here)) / one(2)) - middle
    table = np.append(_rounded(here) - _rounded(missed / one(2)), _rounded(at(np.array([high]))))
    table = np.clip(table, -32768, 32767).astype(np.int16)
    table.flags.writeable = False
    return table


def _rounded(x: np.ndarray) -> np.ndarray:
    """To nearest, ties away from zero."""
    return np.copysign(np.floor(np.abs(x) + np.float32(0.5)), x).astype(np.float32)


def softmax(p: WideSoftmaxParams, rows: np.ndarray) -> np.ndarray:
    """int16 (rows, depth) to int64 of the same shape."""
    wide = rows.astype(np.int64)
    scaled = scale_int32(wide - wide.max(axis=1, keepdims=True), p.multiplier, p.shift)
    exps = _looked_up(np.clip(scaled + 32767, -32768, 32767), exp_table())
    sums = exps.sum(axis=1, keepdims=True)
    bits = 31 - np.vectorize(int.bit_length, otypes=[np.int64])(sums)
    normal = ((sums << bits) + (1 << 13)) >> 14                  # [1, 2] in 1/65536
    inverse = _looked_up(np.minimum(normal - 65536 - 32768, 32767), reciprocal_table())
    return np.clip((exps * inverse + (np.int64(1) << (29 - bits))) >> (30 - bits), 0, 32767)


def _looked_up(values: np.ndarray, table: np.ndarray) -> np.ndarray:
    """int16 values through a table of 513 entries, 128 values from each to the next."""
    wide, index = table.astype(np.int64), 256 + (values >> 7)
    return wide[index] + (((wide[index + 1] - wide[index]) * (values & 127) + 64) >> 7)
