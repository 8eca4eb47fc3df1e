# SPDX-License-Identifier: Apache-2.0
"""The table of blocks, which each family's file fills."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcunas.space.blocks.context import Context

if TYPE_CHECKING:
    from torch import nn

SMALLEST_FOR_5 = 7      # rows (and columns) below which a kernel of 5 sees padding for the most part


def anywhere(context: Context) -> str:
    return ""


def where_5_fits(context: Context) -> str:
    smallest = context.size[0] if context.is_series else min(context.size)
    return "" if smallest >= SMALLEST_FOR_5 else f"a kernel of 5 on {smallest} rows"


@dataclass(frozen=True)
class Block:
    """build: Context -> module; with `inner`, (Context, inner channels or None) -> module. refusal: Context -> why not, or
    "". inner: Context -> the width inside that the block has by itself; None for blocks without one. adds_input: whether it
    is residual where input and output are of one shape."""

    build: Callable[..., nn.Module]
    refusal: Callable[[Context], str] = anywhere
    inner: Callable[[Context], int] | None = None
    adds_input: bool = False


BLOCKS: dict[str, Block] = {}
BITS = {"_w4": 4}           # end of an option's name -> bits of its weights (space/bits.py)


def with_bits(option: str) -> tuple[str, int]:
    """(block, bits of its weights) that an option's name says."""
    end = next((end for end in BITS if option.endswith(end)), "")
    return (option.removesuffix(end), BITS[end]) if end else (option, 8)
