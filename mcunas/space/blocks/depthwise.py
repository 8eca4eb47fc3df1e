# SPDX-License-Identifier: Apache-2.0
"""Depthwise-separable convolutions, ds3 and ds5: depthwise, then pointwise (as in Zhang et al., arXiv 1711.07128)."""
from __future__ import annotations

from functools import partial

from torch import nn

from mcunas.space.blocks.context import Context
from mcunas.space.blocks.registry import BLOCKS, Block, where_5_fits
from mcunas.space.separable import Separable


def separable(context: Context, extent: int) -> nn.Module:
    return Separable(context.inputs, context.outputs, context.kernel(extent), context.strides, context.size)


BLOCKS["ds3"] = Block(partial(separable, extent=3))
BLOCKS["ds5"] = Block(partial(separable, extent=5), where_5_fits)
