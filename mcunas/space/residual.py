# SPDX-License-Identifier: Apache-2.0
"""A residual CNN for small images: a stem and stages of one basic block each, batch norm after every convolution.

Down-sampling pads as TFLite's SAME does (layers.py), so that no PAD op is deployed.
"""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from mcunas.space.layers import Pair, down, same_padding


class Block(nn.Module):
    """conv3x3 - conv3x3 + shortcut; the shortcut is a strided 1x1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int, size: Pair) -> None:
        super().__init__()
        self.pad, padding = same_padding(size, (3, 3), (stride, stride))
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = None
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.bn1(self.conv1(self.pad(x))))
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class ResidualNet(nn.Module):
    """(N, C, H, W) -> logits (N, classes). widths, strides: of each stage. stem: channels at full size.

    size: (H, W) of the input, which tells where a stage meets an odd one.
    """

    def __init__(self, in_channels: int, classes: int, widths: tuple[int, ...] = (24, 48, 96),
                 strides: tuple[int, ...] = (1, 2, 2), stem: int = 0, size: tuple[int, int] = (16, 16)) -> None:
        super().__init__()
        inputs = (stem or widths[0], *widths[:-1])
        self.stem = nn.Conv2d(in_channels, inputs[0], 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(inputs[0])
        blocks = []
        for i, o, stride in zip(inputs, widths, strides, strict=True):
            blocks.append(Block(i, o, stride, size))
            size = down(size, (stride, stride))
        self.stages = nn.Sequential(*blocks)
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stages(F.relu(self.bn(self.stem(x))))
        return self.head(x.mean((2, 3)))
