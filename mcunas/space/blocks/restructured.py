# SPDX-License-Identifier: Apache-2.0
"""Restructured inverted bottlenecks, ran<kernel>_e<expansion> (Bhardwaj et al., arXiv 2208.08562, RAN-explicit).

An inverted bottleneck without its inner activations is linear from end to end: it trains as 1x1 - depthwise - 1x1 with
batch norms between, and is deployed as one dense convolution, so the widened tensor never exists on the board. Whether a
block keeps its activations (mb<kernel>_e<expansion>) or collapses is a choice between two options of a slot, as any other.

Ours: the activation stands behind the block, where it is free in int8, and the added input becomes part of the kernel as
well, so that the deployed block is one op. The padding goes around the block's input: then the first batch norm's bias is
the same on the border as inside, and the collapse is exact there too.
"""
from __future__ import annotations

import copy
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from mcunas.space.blocks.bottleneck import EXPANSIONS
from mcunas.space.blocks.context import Context
from mcunas.space.blocks.registry import BLOCKS, Block, anywhere, where_5_fits
from mcunas.space.branches.kinds import Kernel, normed
from mcunas.space.layers import conv_norm, same_amounts


class Restructured(nn.Module):
    """1x1 to `inner` channels, depthwise, 1x1 to the outputs, all linear; plus the input where shapes allow; ReLU."""

    def __init__(self, context: Context, extent: int, inner: int) -> None:
        super().__init__()
        self.context, self.window = context, context.kernel(extent)
        self.amounts = same_amounts(context.size, self.window, context.strides)
        self.widen = conv_norm(context.inputs, inner, (1, 1), (1, 1), context.size)[1:]
        self.filter = nn.Sequential(nn.Conv2d(inner, inner, self.window, context.strides, groups=inner, bias=False),
                                    nn.BatchNorm2d(inner))
        self.narrow = conv_norm(inner, context.outputs, (1, 1), (1, 1), context.out_size)[1:]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.narrow(self.filter(self.widen(F.pad(x, self.amounts))))
        return F.relu(x + y if self.context.keeps_shape else y)

    @torch.no_grad()
    def kernel(self) -> Kernel:
        """The dense kernel (outputs, inputs, h, w) and bias (outputs,) of the linear part, added input included; float64."""
        parts = (copy.deepcopy(part).double() for part in (self.widen, self.filter, self.narrow))
        widen, filtered, narrow = (normed(conv.weight, 0.0, norm) for conv, norm in parts)
        weight = torch.einsum("oe,ehw,ei->oihw", narrow[0][..., 0, 0], filtered[0][:, 0], widen[0][..., 0, 0])
        inner_bias = filtered[0].sum((1, 2, 3)) * widen[1] + filtered[1]
        if self.context.keeps_shape:
            left, _, top, _ = self.amounts
            weight[:, :, top, left] += torch.eye(len(weight), dtype=weight.dtype)
        return weight, narrow[0][..., 0, 0] @ inner_bias + narrow[1]

    @torch.no_grad()
    def deployed(self) -> nn.Sequential:
        """Padding, one convolution, ReLU: what forward gives in evaluation mode."""
        layers = conv_norm(self.context.inputs, self.context.outputs, self.window, self.context.strides, self.context.size)
        weight, bias = self.kernel()
        conv = nn.Conv2d(*weight.shape[1::-1], self.window, self.context.strides, layers[1].padding)
        conv.to(self.widen[0].weight.dtype)
        conv.weight.copy_(weight)
        conv.bias.copy_(bias)
        return nn.Sequential(layers[0], conv, nn.ReLU()).train(self.training)


def _build(context: Context, extent: int, expansion: int) -> Restructured:
    return Restructured(context, extent, context.inputs * expansion)


for _extent in (3, 5):
    for _expansion in EXPANSIONS:
        BLOCKS[f"ran{_extent}_e{_expansion}"] = Block(partial(_build, extent=_extent, expansion=_expansion),
                                                      where_5_fits if _extent == 5 else anywhere, adds_input=True)
