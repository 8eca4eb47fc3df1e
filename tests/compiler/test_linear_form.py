# SPDX-License-Identifier: Apache-2.0
"""A linear form gives TFLite Micro's sum for every pair of bytes, and is found for nearly all scales."""
from __future__ import annotations

import numpy as np

from mcunas.compiler.lower.linear_form import linear_form
from mcunas.graph.arithmetic import quantize_multiplier, scale_int32
from mcunas.graph.elementwise_params import SUM_SHIFT, SumParams

PAIRS = np.arange(-128, 128, dtype=np.int64)


def _sums(p: SumParams, sign: int) -> np.ndarray:
    first, second = (scale_int32((PAIRS - zero) << SUM_SHIFT, *scale)
                     for zero, scale in ((p.zero0, p.scale0), (p.zero1, p.scale1)))
    return np.clip(scale_int32(first[:, None] + sign * second[None, :], *p.scale_out) + p.zero_out, p.low, p.high)


def _of(form: tuple[int, int, int, int]) -> np.ndarray:
    factor0, factor1, constant, shift = form
    total = PAIRS[:, None] * factor0 + PAIRS[None, :] * factor1 + constant
    assert abs(total).max() < 2**31
    return total >> shift


def test_a_sum_that_needs_the_finest_shift_has_a_form() -> None:
    p = SumParams(-128, -2, -32, (1096828864, -1), (1073741824, 0), (1642924441, -19), -128, 127)
    form = linear_form(p, 1)
    assert form is not None and form[3] == 22 and (np.clip(_of(form), -128, 127) == _sums(p, 1)).all()


def test_most_sums_have_a_form_and_it_is_exact() -> None:
    random, found = np.random.default_rng(0), 0
    for _ in range(60):
        scale0, scale1 = random.uniform(0.01, 0.05, 2).astype(np.float32)
        twice, sign = 2 * float(max(scale0, scale1)), int(random.choice((1, -1)))
        out = 0.7 * twice * random.uniform(0.5, 1.5)
        scales = [quantize_multiplier(r) for r in (
            float(scale0) / twice, float(scale1) / twice, twice / ((1 << SUM_SHIFT) * out))]
        zeros = random.integers(-128, 128, 3).tolist()
        p = SumParams(*zeros, *scales, -128, 127)
        form = linear_form(p, sign)
        found += form is not None
        assert form is None or (np.clip(_of(form), -128, 127) == _sums(p, sign)).all()
    assert found >= 57
