# SPDX-License-Identifier: Apache-2.0
"""Ghost block (Han et al., arXiv 1911.11907): half the channels from a convolution, the other half from those, cheaply.

The first half is a 3x3 convolution, since the block must also be able to look around and to stride; the second is a
depthwise 3x3 of the first.
"""
from __future__ import annotations

import torch
from torch import nn

from mcunas.space.blocks.context import Context
from mcunas.space.blocks.registry import BLOCKS, Block
from mcunas.space.layers import conv_norm


class Ghost(nn.Module):
    def __init__(self, context: Context) -> None:
        super().__init__()
        half, kernel = context.outputs // 2, context.kernel(3)
        self.primary = nn.Sequential(*conv_norm(context.inputs, half, kernel, context.strides, context.size), nn.ReLU())
        self.cheap = nn.Sequential(*conv_norm(half, half, kernel, (1, 1), context.out_size, groups=half), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.primary(x)
        return torch.cat([y, self.cheap(y)], 1)


def _refusal(context: Context) -> str:
    return "an odd number of channels has no half" if context.outputs % 2 else ""


BLOCKS["ghost"] = Block(Ghost, _refusal)
