# SPDX-License-Identifier: Apache-2.0
"""What a network ends with: one logit per class for the image, a map of heat and boxes for a detector, or a larger image.

A head's name stands in the description of a space, and in a task's objective.
"""
from __future__ import annotations

import torch
from torch import nn

from mcunas.errors import InputError, did_you_mean
from mcunas.space.layers import Pair, same_padding
from mcunas.space.separable import Separable

BOX_VALUES = 4              # distances to left, top, right and bottom
ENLARGED = 2                # times a side of the image
RARE, USUAL = -3.0, 2.0     # first biases: a cell is hardly ever a centre; an item is of a middling size


class BoxHead(nn.Module):
    """(N, inputs, H, W) -> (N, classes + 4, H, W): logits of an item's centre, and distances to its box."""

    def __init__(self, inputs: int, classes: int, size: Pair) -> None:
        super().__init__()
        self.block = Separable(inputs, inputs, (3, 3), (1, 1), size)
        self.out = nn.Conv2d(inputs, classes + BOX_VALUES, 1)
        with torch.no_grad():
            self.out.bias.copy_(torch.tensor([RARE] * classes + [USUAL] * BOX_VALUES))
            self.out.weight.mul_(0.3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.block(x))


class PixelHead(nn.Module):
    """(N, inputs, H, W) -> (N, classes, 2H, 2W): four pixels out of each (Shi et al., arXiv 1609.05158)."""

    def __init__(self, inputs: int, classes: int, size: Pair) -> None:
        super().__init__()
        pad, padding = same_padding(size, (3, 3), (1, 1))
        self.out = nn.Sequential(pad, nn.Conv2d(inputs, classes * ENLARGED**2, 3, padding=padding))
        self.shuffle = nn.PixelShuffle(ENLARGED)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shuffle(self.out(x))


def _linear(inputs: int, classes: int, size: Pair) -> nn.Linear:
    return nn.Linear(inputs, classes)


# name -> (inputs, classes, (H, W) of the input) -> module
HEADS = {"classes": _linear, "boxes": BoxHead, "pixels": PixelHead}


class Ended(nn.Module):
    """(N, C, H, W) -> outputs. A linear head sees the mean over the image, any other one the image."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return ended(self.head, x)


def ended(head: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return head(x.mean((2, 3)) if isinstance(head, nn.Linear) else x)


def head_of(name: str, inputs: int, classes: int, size: Pair) -> nn.Module:
    """With its first weights. Raises InputError for an unknown name."""
    if name not in HEADS:
        raise InputError(f"unknown head {name!r}", fix=did_you_mean(name, HEADS))
    return HEADS[name](inputs, classes, size)
