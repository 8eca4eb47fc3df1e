# SPDX-License-Identifier: Apache-2.0
"""A network to start from: any torch module that torch.fx can trace. Widths may be generous: pruning finds them."""
from torch import nn


def build() -> nn.Module:
    def block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())

    return nn.Sequential(block(1, 24, 1), block(24, 32, 2), block(32, 48, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(48, 4))
