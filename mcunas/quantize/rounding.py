# SPDX-License-Identifier: Apache-2.0
"""How TFLite rounds, in a network with fake quantization: in evaluation mode it answers what the integers answer.

A convolution's sum times its multiplier is rounded to a whole number of 2^-k steps of the output, and that to whole steps,
ties away from zero (pruning-methods.md section 9). A tie of the second rounding is one value in 2^k, and a bias that is
rounded moves as many: after a few layers that is a different last bit in a third of all values, and in a mean of small sums
a bias of an eighth of a step. An average pool rounds ties of the stored numbers away from their zero. Training rounds once:
it moves the ranges that k follows.
"""
from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


class RoundsTwice(nn.Module):
    """(N, C, ...) behind a layer or a mean, in units of the network; a layer's bias is rounded, too, to the step of its sum.

    steps: -> (step of the integer sum, (C,) or (1,); bias (C,) or None; step of the output). count: elements of a mean,
    whose division is in the multiplier.
    """

    def __init__(self, steps: Callable[[], tuple[torch.Tensor, torch.Tensor | None, float]], count: int = 1) -> None:
        super().__init__()
        self.steps, self.count = steps, count

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            return x
        step, bias, scale = self.steps()
        lost = 0 if bias is None else _by_channel(torch.round(bias / step) * step - bias, x)
        shift = torch.frexp(step / scale)[1] - (self.count.bit_length() - 1)
        finer = _by_channel(torch.ldexp(torch.ones_like(step), torch.clamp(-shift, min=0)), x)
        return (away_from_zero(torch.floor((x.double() + lost) / scale * finer + 0.5) / finer) * scale).to(x.dtype)


class RoundsStored(nn.Module):
    """Behind an average pool. quant: -> (scale, zero point on int8)."""

    def __init__(self, quant: Callable[[], tuple[float, int]]) -> None:
        super().__init__()
        self.quant = quant

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            return x
        scale, zero_point = self.quant()
        return (away_from_zero(x / scale + zero_point) - zero_point) * scale


def away_from_zero(x: torch.Tensor) -> torch.Tensor:
    """Rounded, halves away from zero."""
    return torch.sign(x) * torch.floor(x.abs() + 0.5)


def _by_channel(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """(C,) or (1,) for x (N, C, ...)."""
    return values.view(-1, *[1] * (x.dim() - 2))
