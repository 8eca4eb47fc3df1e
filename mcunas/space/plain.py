# SPDX-License-Identifier: Apache-2.0
"""A VGG-like network that is badly proportioned for a microcontroller, to test that pruning repairs it.

The same many channels at full resolution, where each costs RAM and cycles, and a heavy linear layer at the end, which
costs flash: start net "Q" of pruning-methods.md section 1.7. Nobody should deploy it as it is.
"""
from __future__ import annotations

import torch
from torch import nn


class PlainNet(nn.Module):
    """(N, C, H, W) -> logits (N, classes).

    stages: channels of each 3x3 convolution, a list per resolution; 2x2 max pooling between resolutions. hidden: width
    of the linear layer. size: (H, W) of the input.
    """

    def __init__(self, in_channels: int, classes: int, size: tuple[int, int],
                 stages: tuple[tuple[int, ...], ...] = ((48, 48), (48, 48), (96,)), hidden: int = 128) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number, stage in enumerate(stages):
            if number:
                layers.append(nn.MaxPool2d(2))
                size = (size[0] // 2, size[1] // 2)
            for channels in stage:
                layers += [nn.Conv2d(in_channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
                in_channels = channels
        self.features = nn.Sequential(*layers)
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(in_channels * size[0] * size[1], hidden, bias=False),
                                    nn.BatchNorm1d(hidden), nn.ReLU())
        self.head = nn.Linear(hidden, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.hidden(self.features(x)))
