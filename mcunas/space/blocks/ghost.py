# SPDX-License-Identifier: Apache-2.0
"""C-Ghost (Han et al., arXiv 1911.11907 and 2201.03297): half the channels from a convolution, the other half from those,
cheaply, by a depthwise one.

    ghost        primary 3x3, where one layer must look around and stride
    ghost1x1     primary 1x1, as in the paper; stride 1
    gb3_e<n>     ghost bottleneck: ghost 1x1 to n times the channels, depthwise 3x3 where it strides, ghost 1x1 back without
                 activation, plus the input; where shapes differ the shortcut is depthwise and 1x1. Without the paper's
                 squeeze-and-excitation.

Both halves of a concatenation share one quantizer, since TFLite's CONCATENATION wants equal scales.
"""
from __future__ import annotations

from functools import partial

import torch
from torch import nn

from mcunas.space.blocks.context import Context
from mcunas.space.blocks.registry import BLOCKS, Block
from mcunas.space.layers import Pair, conv_norm

EXPANSIONS = (2, 3)


class Ghost(nn.Module):
    """inputs -> outputs channels, of which the first half are the convolution's. is_linear: without activations."""

    def __init__(self, inputs: int, outputs: int, kernel: Pair, cheap_kernel: Pair, stride: Pair, size: Pair, out_size: Pair,
                 is_linear: bool = False) -> None:
        super().__init__()
        half = outputs // 2
        activation = nn.Identity if is_linear else nn.ReLU
        self.primary = nn.Sequential(*conv_norm(inputs, half, kernel, stride, size), activation())
        self.cheap = nn.Sequential(*conv_norm(half, half, cheap_kernel, (1, 1), out_size, groups=half), activation())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.primary(x)
        return torch.cat([y, self.cheap(y)], 1)


class GhostBottleneck(nn.Module):
    def __init__(self, context: Context, expansion: int) -> None:
        super().__init__()
        kernel, inputs, outputs, size = context.kernel(3), context.inputs, context.outputs, context.size
        inner = 2 * (inputs * expansion // 2)
        self.widen = Ghost(inputs, inner, (1, 1), kernel, (1, 1), size, size)
        self.filter = nn.Identity()
        if context.strides != (1, 1):
            self.filter = conv_norm(inner, inner, kernel, context.strides, size, groups=inner)
        self.narrow = Ghost(inner, outputs, (1, 1), kernel, (1, 1), context.out_size, context.out_size, is_linear=True)
        self.shortcut = nn.Identity()
        if not context.keeps_shape:
            self.shortcut = nn.Sequential(*conv_norm(inputs, inputs, kernel, context.strides, size, groups=inputs),
                                          *conv_norm(inputs, outputs, (1, 1), (1, 1), context.out_size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.narrow(self.filter(self.widen(x))) + self.shortcut(x)


def _ghost(context: Context, extent: int) -> Ghost:
    return Ghost(context.inputs, context.outputs, context.kernel(extent), context.kernel(3), context.strides, context.size,
                 context.out_size)


def _refusal(context: Context) -> str:
    return "an odd number of channels has no half" if context.outputs % 2 else ""


def _refusal_1x1(context: Context) -> str:
    return _refusal(context) or ("" if context.strides == (1, 1) else "a 1x1 kernel would leave pixels out")


BLOCKS["ghost"] = Block(partial(_ghost, extent=3), _refusal)
BLOCKS["ghost1x1"] = Block(partial(_ghost, extent=1), _refusal_1x1)
for _expansion in EXPANSIONS:
    BLOCKS[f"gb3_e{_expansion}"] = Block(partial(GhostBottleneck, expansion=_expansion), _refusal)
