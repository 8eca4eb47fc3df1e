# SPDX-License-Identifier: Apache-2.0
"""Reference of SOFTMAX over the last axis, in fixed point; on int16 see graph/int16_functions.py.

Differences from the row's maximum go through exp() as Q5.26; the sum is kept in Q12.19 and inverted once per row.
TFLite Micro stops with a fatal error when that sum reaches 512, where even the maximum's share is below half a step of
1/256: every output is -128 then.
"""
from __future__ import annotations

import numpy as np

from mcunas.graph import int16_functions
from mcunas.graph.arithmetic import clamp_int8, doubling_high_multiply, rounding_shift_right
from mcunas.graph.fixed_functions import exp_of_negative, reciprocal, shift_left_saturating
from mcunas.graph.integer_params import softmax as softmax_params
from mcunas.graph.ir import Graph, Op
from mcunas.graph.reference import Values, executes


@executes("SOFTMAX")
def softmax(graph: Graph, op: Op, values: Values) -> list[np.ndarray]:
    rows = values[0].reshape(-1, values[0].shape[-1])
    if rows.dtype == np.int16:
        return [int16_functions.softmax(int16_functions.softmax_params(graph, op), rows).astype(np.int16)]
    p, rows = softmax_params(graph, op), rows.astype(np.int64)
    difference = rows - rows.max(axis=1, keepdims=True)
    kept = difference >= p.diff_min
    exps = exp_of_negative(doubling_high_multiply(np.where(kept, difference, 0) << p.shift, p.multiplier), 5)
    sums = np.where(kept, rounding_shift_right(exps, 12), 0).sum(axis=1, keepdims=True)
    headroom = 32 - np.vectorize(int.bit_length, otypes=[np.int64])(sums)
    scale = shift_left_saturating(reciprocal((sums << headroom) - (1 << 31)), 1)
    exponent = 12 - headroom + 23
    out = rounding_shift_right(doubling_high_multiply(scale, exps), np.minimum(exponent, 31)) - 128
    return [clamp_int8(np.where(kept & (exponent <= 31), out, -128)).reshape(values[0].shape)]
