# SPDX-License-Identifier: Apache-2.0
"""A depthwise-separable CNN for spectrograms and time series (a DS-CNN, Zhang et al., arXiv 1711.07128).

A time series of C channels is an image of width 1; its kernels are then (k, 1). Padding is TFLite's SAME everywhere, so
no PAD op is deployed.
"""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from mcunas.space.layers import Pair, conv_norm, down


class Separable(nn.Module):
    """Depthwise convolution, pointwise convolution."""

    def __init__(self, inputs: int, outputs: int, kernel: Pair, stride: Pair, size: Pair) -> None:
        super().__init__()
        self.depthwise = conv_norm(inputs, inputs, kernel, stride, size, groups=inputs)
        self.pointwise = conv_norm(inputs, outputs, (1, 1), (1, 1), size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.pointwise(F.relu(self.depthwise(x))))


class SeparableNet(nn.Module):
    """(N, C, H, W) -> logits (N, classes).

    size: (H, W) of the input. stem_kernel, stem_stride, widths[0]: the first, full convolution; kernel, strides[i],
    widths[i + 1]: the separable blocks behind it.
    """

    def __init__(self, in_channels: int, classes: int, size: Pair, widths: tuple[int, ...], strides: tuple[Pair, ...],
                 stem_kernel: Pair, stem_stride: Pair, kernel: Pair = (3, 3)) -> None:
        super().__init__()
        self.stem = conv_norm(in_channels, widths[0], stem_kernel, stem_stride, size)
        size, blocks = down(size, stem_stride), []
        for inputs, outputs, stride in zip(widths[:-1], widths[1:], strides, strict=True):
            blocks.append(Separable(inputs, outputs, kernel, stride, size))
            size = down(size, stride)
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(F.relu(self.stem(x)))
        return self.head(x.mean((2, 3)))
