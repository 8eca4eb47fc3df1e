# SPDX-License-Identifier: Apache-2.0
"""Collapsible linear block (Bhardwaj et al., SESR, arXiv 2103.09404): wide while it trains, one convolution on the board.

A k x k convolution to many channels and a 1x1 back, without anything between them, is one k x k convolution whose weight
is their product. Training computes that product and convolves once, so the expansion costs a small matrix product only.
"""
from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils import parametrize

from mcunas.space.blocks.context import Context
from mcunas.space.blocks.convolution import convolution
from mcunas.space.blocks.registry import BLOCKS, Block

EXPANSION = 4       # of the output's channels


class _Product(nn.Module):
    """Weight (O, I, h, w) of the one convolution, from an inner weight (P, I, h, w) and an outer (O, P)."""

    def forward(self, inner: torch.Tensor, outer: torch.Tensor) -> torch.Tensor:
        return torch.einsum("op,pihw->oihw", outer, inner)

    def right_inverse(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Factors whose product has about the weight's own size."""
        count = EXPANSION * weight.shape[0]
        inner = torch.empty(count, *weight.shape[1:])
        nn.init.kaiming_uniform_(inner, a=5**0.5)
        return inner, torch.randn(weight.shape[0], count) / count**0.5


def expand(conv: nn.Conv2d) -> nn.Conv2d:
    """Make a convolution's weight a product; the same module, trained in more dimensions."""
    parametrize.register_parametrization(conv, "weight", _Product(), unsafe=True)
    return conv


def collapsed(net: nn.Module) -> nn.Module:
    """A copy of `net` as it is deployed: every product has become the weight that it is, and every block that knows a
    smaller form of itself (`deployed()`) has that form."""
    net = net.deployed() if hasattr(net, "deployed") else copy.deepcopy(net)
    if parametrize.is_parametrized(net, "weight"):
        return _plain(net)
    for module in list(net.modules()):
        for name, child in module.named_children():
            if hasattr(child, "deployed"):
                setattr(module, name, child.deployed())
            elif parametrize.is_parametrized(child, "weight"):
                setattr(module, name, _plain(child))
    return net


def _plain(conv: nn.Conv2d) -> nn.Conv2d:
    """A new one: torch.nn.utils.parametrize would take the product away from the class that all copies share."""
    new = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation,
                    conv.groups, conv.bias is not None, conv.padding_mode, dtype=conv.weight.dtype)
    with torch.no_grad():
        new.weight.copy_(conv.weight)
        if conv.bias is not None:
            new.bias.copy_(conv.bias)
    return new.train(conv.training)


def _build(context: Context) -> nn.Sequential:
    layers = convolution(context, 3)
    expand(layers[1])
    return layers


BLOCKS["linear3x3"] = Block(_build)
