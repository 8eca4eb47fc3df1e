# SPDX-License-Identifier: Apache-2.0
"""Differentiable prices: the compiler's figures as values, useful slopes, and expectations that are exact when certain."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mcunas.board import Board
from mcunas.cost import estimate
from mcunas.cost.choices import Choices, Options
from mcunas.cost.fit_layers import one_op
from mcunas.cost.pricer import Pricer
from mcunas.cost.soft import SoftPrices
from tests.cost.test_pricer import NETS

BOARD = Board.load("mps2-an386")
WINDOW = {"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "activation": "RELU", "padding": "SAME"}


def test_values_are_those_of_the_rounded_widths_and_slopes_connect_the_grid() -> None:
    skeleton = NETS["residual"]()
    soft = SoftPrices(Pricer(skeleton, BOARD))
    widths = torch.tensor([13.4, 9.2, 22.0, 30.7, 18.1, 40.4], requires_grad=True)
    live, flash, cycles = soft(widths)
    cost = estimate(skeleton.at([13, 9, 22, 31, 18, 40]), BOARD, rewrite=False)
    assert live.tolist() == list(cost.live_bytes_per_op) and flash.item() == cost.flash_bytes
    assert cycles.item() == pytest.approx(cost.cycles, rel=1e-5)
    (slope,) = torch.autograd.grad(cycles, widths)
    at = [estimate(skeleton.at([13, 9, w, 31, 18, 40]), BOARD, rewrite=False).cycles for w in (20, 24)]
    assert float(slope[2]) == pytest.approx((at[1] - at[0]) / 4, rel=1e-3)
    assert (slope > 0).all()


def test_a_width_at_its_limit_still_has_a_slope() -> None:
    skeleton = NETS["separable"]()
    widths = torch.tensor([float(w) for w in skeleton.full], requires_grad=True)
    _, flash, _ = SoftPrices(Pricer(skeleton, BOARD))(widths)
    (slope,) = torch.autograd.grad(flash, widths)
    assert (slope > 0).all()


def choices() -> Choices:
    positions = []
    for inputs, outputs in ((8, 16), (16, 12)):
        x = (1, 12, 12, inputs)
        blocks = {f"{k}x{k}": one_op("CONV_2D", [x, (outputs, k, k, inputs)], WINDOW) for k in (1, 3, 5)}
        blocks["pool"] = one_op("MAX_POOL_2D", [x], {"filter_h": 2, "filter_w": 2, "stride_h": 1, "stride_w": 1,
                                                     "padding": "SAME", "activation": "NONE"})
        positions.append(Options.of(blocks, BOARD))
    return Choices(positions, BOARD)


def test_expectations_of_certain_choices_are_exact() -> None:
    found = choices()
    for chosen in ((0, 1), (2, 2), (3, 0), (3, 3)):
        live, flash, cycles = found.expected([torch.eye(4, dtype=torch.float64)[k] for k in chosen])
        exact = found.exact(chosen)
        assert np.allclose(live, exact[0]) and float(flash) == pytest.approx(exact[1])
        assert float(cycles) == pytest.approx(exact[2])
    one, two = found.exact((1, 3))[1], found.exact((1, 1))[1]
    pool = found.positions[1]
    code = found.prices.code("mn_max_pool_s8") + found.prices.libraries(["mn_max_pool_s8", *pool.kernels[1]])
    assert one - two == pool.data_bytes[3] - pool.data_bytes[1] + code - found.prices.libraries(pool.kernels[1])


def test_expectations_are_differentiable_and_the_table_has_every_option() -> None:
    found = choices()
    logits = [torch.zeros(4, requires_grad=True) for _ in range(2)]
    live, flash, cycles = found.expected([x.softmax(0) for x in logits])
    (live.max() + flash + cycles).backward()
    assert all(x.grad is not None and float(x.grad[2]) > float(x.grad[3]) for x in logits)      # 5x5 is dearer than a pool
    assert len(found.table()) == 8 and found.table()[5]["name"] == "3x3"
