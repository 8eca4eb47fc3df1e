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
    total = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(size, kernel, stride)]
    before, after = [t // 2 for t in total], [t - t // 2 for t in total]
    if before == after:
        return nn.Identity(), tuple(before)
    return nn.ZeroPad2d((before[1], after[1], before[0], after[0])), (0, 0)


def conv_norm(inputs: int, outputs: int, kernel: Pair, stride: Pair, size: Pair, groups: int = 1) -> nn.Sequential:
    """Padding, convolution, batch norm on an input of `size` (H, W); no activation."""
    pad, padding = same_padding(size, kernel, stride)
    conv = nn.Conv2d(inputs, outputs, tuple(kernel), tuple(stride), padding, groups=groups, bias=False)
    return nn.Sequential(pad, conv, nn.BatchNorm2d(outputs))


def down(size: Pair, stride: Pair) -> Pair:
    """(H, W) behind a SAME layer of that stride."""
    return tuple(-(-n // s) for n, s in zip(size, stride))
