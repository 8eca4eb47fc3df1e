# SPDX-License-Identifier: Apache-2.0
"""A small net for super-resolution to prune: 3x3 convolutions on the small image, a head that makes it larger at the end."""
from __future__ import annotations

import torch
from torch import nn

from mcunas.space.heads import PixelHead
from mcunas.space.layers import Pair, conv_norm


class UpscalerNet(nn.Module):
    """(N, C, H, W) -> (N, classes, 2H, 2W). widths: of the convolutions."""

    def __init__(self, in_channels: int, classes: int, size: Pair, widths: tuple[int, ...] = (24, 24, 24, 24)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in zip((in_channels, *widths[:-1]), widths, strict=True):
            layers += [*conv_norm(inputs, outputs, (3, 3), (1, 1), size), nn.ReLU()]
        self.body, self.head = nn.Sequential(*layers), PixelHead(widths[-1], classes, size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))
