# SPDX-License-Identifier: Apache-2.0
"""Full convolutions: conv1x1, conv3x3, conv5x5."""
from __future__ import annotations

from functools import partial

from torch import nn

from mcunas.space.blocks.context import Context
from mcunas.space.blocks.registry import BLOCKS, Block, where_5_fits
from mcunas.space.layers import conv_norm


def convolution(context: Context, extent: int) -> nn.Sequential:
    layer = conv_norm(context.inputs, context.outputs, context.kernel(extent), context.strides, context.size)
    return nn.Sequential(*layer, nn.ReLU())


BLOCKS["conv1x1"] = Block(partial(convolution, extent=1))
BLOCKS["conv3x3"] = Block(partial(convolution, extent=3))
BLOCKS["conv5x5"] = Block(partial(convolution, extent=5), where_5_fits)
