# SPDX-License-Identifier: Apache-2.0
"""A shortcut as a choice of its own: <block>_id is the block plus its input, <bottleneck>_no the bottleneck without it.

A factorized space asks of each stage whether its layers add their input (Tan et al., MnasNet, arXiv 1807.11626). Where
shapes differ there is nothing to add, and both are the plain block.
"""
from __future__ import annotations

from functools import partial

import torch
from torch import nn

from mcunas.space.blocks import bottleneck, convolution, depthwise, ghost
from mcunas.space.blocks.context import Context
from mcunas.space.blocks.registry import BLOCKS, Block

PLAIN = ("conv3x3", "conv5x5", "ds3", "ds5", "ghost")
FAMILIES = (bottleneck, convolution, depthwise, ghost)      # must have registered what is built upon


class Shortcut(nn.Module):
    """block(x) + x."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(x) + x


def _with(context: Context, name: str) -> nn.Module:
    block = BLOCKS[name].build(context)
    return Shortcut(block) if context.keeps_shape else block


def _without(context: Context, inner: int | None, name: str) -> nn.Module:
    block = BLOCKS[name].build(context, inner)
    block.adds_input = False
    return block


for _name in PLAIN:
    BLOCKS[f"{_name}_id"] = Block(partial(_with, name=_name), BLOCKS[_name].refusal, adds_input=True)
for _name in [name for name in BLOCKS if name.startswith(("mb3_e", "mb5_e")) and name.count("_") == 1]:
    BLOCKS[f"{_name}_no"] = Block(partial(_without, name=_name), BLOCKS[_name].refusal, BLOCKS[_name].inner)
