# SPDX-License-Identifier: Apache-2.0
"""The layer that every net here is made of: TFLite's SAME padding, a convolution, batch norm.

torch pads both sides alike; SAME pads right and bottom only where stride and size make it odd. Such a layer gets a
ZeroPad2d of its own, which lowering merges into the convolution, so that no PAD op is deployed.
"""
from __future__ import annotations

from torch import nn

Pair = tuple[int, int]


def same_padding(size: Pair, kernel: Pair, stride: Pair) -> tuple[nn.Module, Pair]:
    """(what goes before the convolution, the convolution's own padding) for an input of `size` (H, W)."""
    left, right, top, bottom = same_amounts(size, kernel, stride)
    if (left, top) == (right, bottom):
        return nn.Identity(), (top, left)
    return nn.ZeroPad2d((left, right, top, bottom)), (0, 0)


def same_amounts(size: Pair, kernel: Pair, stride: Pair) -> tuple[int, int, int, int]:
    """(left, right, top, bottom) that SAME pads an input of `size` (H, W) with; the order is torch's."""
    high, wide = (max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(size, kernel, stride))
    return wide // 2, wide - wide // 2, high // 2, high - high // 2


def conv_norm(inputs: int, outputs: int, kernel: Pair, stride: Pair, size: Pair, groups: int = 1) -> nn.Sequential:
    """Padding, convolution, batch norm on an input of `size` (H, W); no activation."""
    pad, padding = same_padding(size, kernel, stride)
    conv = nn.Conv2d(inputs, outputs, tuple(kernel), tuple(stride), padding, groups=groups, bias=False)
    return nn.Sequential(pad, conv, nn.BatchNorm2d(outputs))


def down(size: Pair, stride: Pair) -> Pair:
    """(H, W) behind a SAME layer of that stride."""
    return -(-size[0] // stride[0]), -(-size[1] // stride[1])
