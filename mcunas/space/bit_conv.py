# SPDX-License-Identifier: Apache-2.0
"""A convolution in a search for bits: it computes once, with what a way makes of its input and of its weights.

The weights are shared by all bits that they may get, and the shares say how much each of these counts (Shvetsov et al.,
QuantNAS, arXiv 2208.14839). Ways: noise.py, lsq.py; PLAIN changes nothing.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import nn

from mcunas.space.bits import bits_of

Shares = Sequence[tuple[int, torch.Tensor | float]]     # (bits, how much they count), the latter 1 in all


class Way(Protocol):
    def attach(self, conv: BitConv) -> None:
        """Give the convolution what parameters the way needs."""

    def input(self, conv: BitConv, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) as the convolution sees it."""

    def weight(self, conv: BitConv) -> torch.Tensor:
        """The weights under `conv.shares`, differentiable in them."""


class Plain:
    """No quantization."""

    def attach(self, conv: BitConv) -> None:
        pass

    def input(self, conv: BitConv, x: torch.Tensor) -> torch.Tensor:
        return x

    def weight(self, conv: BitConv) -> torch.Tensor:
        return conv.weight


class BitConv(nn.Conv2d):
    """way: shared by all convolutions of a network. shares: of the bits that the weights may have."""

    way: Way
    shares: Shares

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(self.way.input(self, x), self.way.weight(self), self.bias)


def opened(net: nn.Module, way: Way) -> nn.Module:
    """The same module with its convolutions, in place, as BitConv of the same weights, at the bits that they have."""
    for module in list(net.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Conv2d:
                setattr(module, name, _open(child, way))
    return net


def _open(conv: nn.Conv2d, way: Way) -> BitConv:
    new = nn.utils.skip_init(BitConv, conv.in_channels, conv.out_channels, conv.kernel_size, stride=conv.stride,
                             padding=conv.padding, dilation=conv.dilation, groups=conv.groups, bias=conv.bias is not None)
    new.weight, new.bias, new.way, new.shares = conv.weight, conv.bias, way, ((bits_of(conv), 1.0),)
    way.attach(new)
    return new
