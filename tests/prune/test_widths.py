# SPDX-License-Identifier: Apache-2.0
"""Widths move by what each is worth and costs, stay between their limits, and value a bottleneck's channels most."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mcunas.prune.groups import find_groups
from mcunas.prune.masks import LEAST_WIDTH, Widths
from mcunas.space.plain import PlainNet

NET = PlainNet(1, 10, (8, 8), stages=((16,), (32,)), hidden=64)
CHANNELS = find_groups(NET.eval(), torch.zeros(1, 1, 8, 8))


def _stepped(gradient: list[float], steps: int = 1, rate: float = 0.01) -> Widths:
    widths = Widths(CHANNELS)
    for _ in range(steps):
        widths.theta.grad = torch.tensor(gradient)
        widths.step(rate)
    return widths


def test_a_group_shrinks_in_proportion_to_what_that_saves() -> None:
    moved = (Widths(CHANNELS).theta - _stepped([100.0, 50.0, 10.0]).theta).detach()
    assert torch.allclose(moved / moved[0], torch.tensor([1.0, 0.5, 0.1]), atol=0.01)


def test_widths_stay_between_the_least_and_the_dense() -> None:
    assert _stepped([9.0, -9.0, 9.0], steps=500, rate=0.1).widths().tolist() == pytest.approx([LEAST_WIDTH, 32, LEAST_WIDTH])


def test_steps_go_on_after_a_checkpoint() -> None:
    whole, first = _stepped([3.0, 2.0, 1.0], steps=4), _stepped([3.0, 2.0, 1.0], steps=2)
    resumed = Widths(CHANNELS)
    resumed.load(first.state())
    for _ in range(2):
        resumed.theta.grad = torch.tensor([3.0, 2.0, 1.0])
        resumed.step(0.01)
    assert torch.equal(resumed.theta, whole.theta)


def test_each_further_channel_is_worth_less_and_what_the_task_misses_more() -> None:
    widths = Widths(CHANNELS)
    widths.gain = torch.tensor([0.0, 0.5, -1.0])
    plain, missed, noise = (widths.worth(g) for g in range(3))
    assert all((np.diff(worth) < 0).all() and (worth > 0).all() for worth in (plain, missed, noise))
    assert (missed[:16] > 2 * plain[:16]).all() and np.allclose(noise[:16], plain[:16])
