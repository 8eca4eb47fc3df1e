# SPDX-License-Identifier: Apache-2.0
"""Blocks that deploy well, by name: the options of a space's slots. One file per family.

Every block is a plain torch module (N, inputs, H, W) -> (N, outputs, H', W') that lowers to int8 ops without padding of
its own. A family fills BLOCKS; whoever adds one adds its module to _FAMILIES. Any block with weights is also there with
int4 ones, by its name and `_w4`.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mcunas.errors import InputError, did_you_mean
from mcunas.space.blocks.context import Context
from mcunas.space.blocks.registry import BLOCKS, Block, with_bits

if TYPE_CHECKING:
    from torch import nn

_FAMILIES = ("convolution", "depthwise", "bottleneck", "ghost", "ghost_stage", "collapsible", "restructured", "shortcut",
             "skip")

__all__ = ["BLOCKS", "Block", "Context", "build", "find", "refusal", "with_bits"]


def find(name: str) -> Block:
    """The block of that name. Raises InputError listing what exists."""
    for family in _FAMILIES:
        import_module(f"mcunas.space.blocks.{family}")
    block, bits = with_bits(name)
    if block not in BLOCKS:
        raise InputError(f"unknown block {name!r}", fix=did_you_mean(name, BLOCKS))
    return BLOCKS[block] if bits == 8 else replace(BLOCKS[block], build=partial(_marked, BLOCKS[block].build, bits))


def _marked(make: Callable[..., nn.Module], bits: int, *args: Any) -> nn.Module:
    from mcunas.space.bits import marked

    return marked(make(*args), bits)


def refusal(name: str, context: Context) -> str:
    """Why the block cannot stand there, in words; "" when it can."""
    return find(name).refusal(context)


def build(name: str, context: Context, inner: int | None = None) -> nn.Module:
    """The block with its first weights. inner: channels inside, where the block has such a width; None = its own.

    Raises InputError where the block cannot stand.
    """
    block = find(name)
    wrong = block.refusal(context)
    if wrong:
        raise InputError(f"block {name!r} cannot stand here: {wrong}", where=str(context))
    if inner is not None and block.inner is None:
        raise InputError(f"block {name!r} has no inner width", where=str(context))
    return block.build(context, inner) if block.inner else block.build(context)
