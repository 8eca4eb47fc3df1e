# SPDX-License-Identifier: Apache-2.0
"""G-Ghost (Han et al., arXiv 2201.03297, section 4): a stage whose later layers make half of the channels only.

Its first layer gives all channels. A part of them (`raw`) goes through the other layers; the rest are cheap: a 1x1 of what
the first layer gave there, plus a mix, one number per channel from the means over the image of everything that the raw
layers gave. The means are taken where each tensor is made, so that none of them has to stay for the mix.
"""
from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from mcunas.space.blocks.context import Context
from mcunas.space.blocks.registry import BLOCKS, Block
from mcunas.space.layers import conv_norm

CHEAP = 0.5         # of the channels
DEPTHS = (2, 3)     # layers behind the first one


class GhostStage(nn.Module):
    """A strided 3x3 layer and `depth` more at the raw width. The first layer's raw and cheap channels are two convolutions
    of the same input: together they are its channels, and nothing has to be cut apart."""

    def __init__(self, context: Context, depth: int) -> None:
        super().__init__()
        cheap = int(context.outputs * CHEAP)
        raw, kernel, size = context.outputs - cheap, context.kernel(3), context.out_size
        self.base_raw = conv_norm(context.inputs, raw, kernel, context.strides, context.size)
        self.base_cheap = conv_norm(context.inputs, cheap, kernel, context.strides, context.size)
        self.layers = nn.ModuleList(conv_norm(raw, raw, kernel, (1, 1), size) for _ in range(depth))
        seen = context.outputs + depth * raw
        self.mix = nn.Sequential(nn.Conv2d(seen, cheap, 1, bias=False), nn.BatchNorm2d(cheap), nn.ReLU(),
                                 nn.Conv2d(cheap, cheap, 1, bias=False), nn.BatchNorm2d(cheap))
        self.cheap = conv_norm(cheap, cheap, (1, 1), (1, 1), size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rest, y = F.relu(self.base_cheap(x)), F.relu(self.base_raw(x))
        means = [rest.mean((2, 3), keepdim=True), y.mean((2, 3), keepdim=True)]
        for layer in self.layers:
            y = F.relu(layer(y))
            means.append(y.mean((2, 3), keepdim=True))
        cheap = F.relu(self.cheap(rest) + self.mix(torch.cat(means, 1)))
        return torch.cat([y, cheap], 1)


def _refusal(context: Context) -> str:
    return "" if context.outputs >= 4 else "too few channels to leave half of them to a mix"


for _depth in DEPTHS:
    BLOCKS[f"gghost{_depth}"] = Block(partial(GhostStage, depth=_depth), _refusal)
