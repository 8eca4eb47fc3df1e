# SPDX-License-Identifier: Apache-2.0
"""Inverted bottlenecks, mb<kernel>_e<expansion> (Sandler et al., arXiv 1801.04381): widen, filter, narrow, add the input.

Without squeeze-and-excitation and with ReLU, which costs nothing in int8. The inner width may be given instead of the
expansion: that is what a width choice searches.
"""
from __future__ import annotations

from functools import partial

import torch
from torch import nn

from mcunas.space.blocks.context import Context
from mcunas.space.blocks.registry import BLOCKS, Block, anywhere, where_5_fits
from mcunas.space.layers import conv_norm

EXPANSIONS = (2, 3, 4, 6)


class Bottleneck(nn.Module):
    """1x1 to `inner` channels, depthwise, 1x1 back (linear), plus the input where shapes allow."""

    def __init__(self, context: Context, extent: int, inner: int) -> None:
        super().__init__()
        self.widen = nn.Sequential(*conv_norm(context.inputs, inner, (1, 1), (1, 1), context.size), nn.ReLU())
        self.filter = nn.Sequential(*conv_norm(inner, inner, context.kernel(extent), context.strides, context.size,
                                               groups=inner), nn.ReLU())
        self.narrow = conv_norm(inner, context.outputs, (1, 1), (1, 1), context.out_size)
        self.adds_input = context.keeps_shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.narrow(self.filter(self.widen(x)))
        return x + y if self.adds_input else y

    def masked(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """forward with mask (inner,) on what the first two layers give: channels at zero are as good as cut away."""
        factor = mask[:, None, None]
        y = self.narrow(self.filter(self.widen(x) * factor) * factor)
        return x + y if self.adds_input else y


def _inner(context: Context, expansion: int) -> int:
    return context.inputs * expansion


def _build(context: Context, inner: int | None, extent: int, expansion: int) -> Bottleneck:
    return Bottleneck(context, extent, inner or _inner(context, expansion))


for _extent in (3, 5):
    for _expansion in EXPANSIONS:
        BLOCKS[f"mb{_extent}_e{_expansion}"] = Block(partial(_build, extent=_extent, expansion=_expansion),
                                                     where_5_fits if _extent == 5 else anywhere,
                                                     partial(_inner, expansion=_expansion), adds_input=True)
