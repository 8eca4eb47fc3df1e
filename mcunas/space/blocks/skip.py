# SPDX-License-Identifier: Apache-2.0
"""Nothing at all: the block that is left out, where input and output are of one shape. This is how depth is searched."""
from __future__ import annotations

from torch import nn

from mcunas.space.blocks.context import Context
from mcunas.space.blocks.registry import BLOCKS, Block


def _build(context: Context) -> nn.Module:
    return nn.Identity()


def _refusal(context: Context) -> str:
    return "" if context.keeps_shape else "input and output differ in shape"


BLOCKS["skip"] = Block(_build, _refusal)
