# SPDX-License-Identifier: Apache-2.0
"""Direct quantization while a search trains: rounding to learned steps (Esser et al., LSQ, arXiv 1902.08153).

What QuantNAS's noise is an alternative to. Weights are rounded once for each number of bits that they may have, per output
channel, and mixed by their shares; inputs have eight bits. One convolution for all bits, as with noise, so that the two
differ in the quantizers alone.
"""
from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mcunas.space.bit_conv import BitConv


class _Round(torch.autograd.Function):
    """x to the nearest of step * (low .. high). x has the slope where it is inside; the step has LSQ's, scaled."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, step: torch.Tensor, low: int, high: int) -> torch.Tensor:
        level = x / step
        rounded = level.round().clamp_(low, high)
        ctx.save_for_backward(level, rounded)
        ctx.limits, ctx.step_shape = (low, high), step.shape
        ctx.scale = (x.numel() / step.numel() * high) ** -0.5
        return rounded * step

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        level, rounded = ctx.saved_tensors
        low, high = ctx.limits
        inside = (level >= low) & (level <= high)
        of_step = slope * (rounded - level * inside)
        return slope * inside, ctx.scale * of_step.sum_to_size(ctx.step_shape), None, None


class Lsq:
    """bits: that weights may have. A step is set when it is first used, and learns with the weights."""

    def __init__(self, bits: tuple[int, ...] = (8, 4)) -> None:
        self.bits = bits

    def attach(self, conv: BitConv) -> None:
        conv.input_step = nn.Parameter(torch.zeros(1))
        conv.weight_steps = nn.ParameterDict({str(b): torch.zeros(conv.out_channels, 1, 1, 1) for b in self.bits})

    def input(self, conv: BitConv, x: torch.Tensor) -> torch.Tensor:
        """Behind a ReLU all levels are above zero, otherwise half of them."""
        low, high = (0, 255) if float(x.detach().min()) >= 0 else (-128, 127)
        _begin(conv.input_step, x, high, (0, 1, 2, 3))
        return _Round.apply(x, conv.input_step, low, high)

    def weight(self, conv: BitConv) -> torch.Tensor:
        found: torch.Tensor | float = 0.0
        for bits, share in conv.shares:
            step, high = conv.weight_steps[str(bits)], 2 ** (bits - 1) - 1
            _begin(step, conv.weight, high, (1, 2, 3))
            found = found + share * _Round.apply(conv.weight, step, -high, high)
        return found


def _begin(step: nn.Parameter, x: torch.Tensor, high: int, axes: tuple[int, ...]) -> None:
    """LSQ's first step: 2 mean|x| / sqrt(highest level)."""
    if float(step.detach().flatten()[0]) == 0:
        first = 2 * x.detach().abs().mean(axes, keepdim=True) / high**0.5
        with torch.no_grad():
            step.copy_(first.clamp_min(1e-8).view(step.shape))
