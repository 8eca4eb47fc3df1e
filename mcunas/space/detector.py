# SPDX-License-Identifier: Apache-2.0
"""A small detector to prune: a strided stem, depthwise-separable blocks down to an eighth of the image, a head of boxes."""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from mcunas.space.heads import BoxHead
from mcunas.space.layers import Pair, conv_norm, down
from mcunas.space.separable import Separable


class DetectorNet(nn.Module):
    """(N, C, H, W) -> (N, classes + 4, H / 8, W / 8). widths[0]: of the stem; widths[i + 1], strides[i]: of the blocks."""

    def __init__(self, in_channels: int, classes: int, size: Pair, widths: tuple[int, ...] = (12, 24, 32, 48, 64, 64),
                 strides: tuple[int, ...] = (1, 2, 1, 2, 1)) -> None:
        super().__init__()
        self.stem = conv_norm(in_channels, widths[0], (3, 3), (2, 2), size)
        size, blocks = down(size, (2, 2)), []
        for inputs, outputs, stride in zip(widths[:-1], widths[1:], strides, strict=True):
            blocks.append(Separable(inputs, outputs, (3, 3), (stride, stride), size))
            size = down(size, (stride, stride))
        self.blocks = nn.Sequential(*blocks)
        self.head = BoxHead(widths[-1], classes, size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(F.relu(self.stem(x))))
