# SPDX-License-Identifier: Apache-2.0
"""Small networks that exercise one coupling each, with batch statistics that are not trivial."""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from mcunas.space.residual import ResidualNet

torch.set_num_threads(1)        # on nets this small a second thread only waits
EXAMPLE = torch.zeros(1, 1, 8, 8)


class Separable(nn.Module):
    """Depthwise convolutions, one with a multiplier of 2, and a flattened head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 6, 3, padding=1)
        self.dw = nn.Conv2d(6, 12, 3, padding=1, groups=6, bias=False)
        self.bn = nn.BatchNorm2d(12)
        self.pw = nn.Conv2d(12, 8, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(8)
        self.head = nn.Linear(8 * 16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn(self.dw(F.relu(self.stem(x)))))
        x = F.max_pool2d(F.relu6(self.bn2(self.pw(x))), 2)
        return self.head(torch.flatten(x, 1))


class Concatenated(nn.Module):
    """Two branches strung together, then joined with a third by an addition that cannot be pruned on one side only."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.left, self.right = nn.Conv2d(4, 6, 3, padding=1), nn.Conv2d(4, 5, 1)
        self.norm = nn.BatchNorm2d(11)
        self.mix = nn.Conv2d(11, 4, 1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.stem(x))
        y = F.relu(self.norm(torch.cat([self.left(x), self.right(x)], 1)))
        return self.head((self.mix(y) + x).mean((2, 3)))


class Strided(nn.Module):
    """Strides with torch's symmetric padding, which TFLite says as a PAD."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.pool = nn.Conv2d(1, 6, 3, padding=1), nn.MaxPool2d(3, 2, 1)
        self.dw, self.pw = nn.Conv2d(6, 6, 3, stride=2, padding=1, groups=6), nn.Conv2d(6, 9, 1)
        self.head = nn.Linear(9, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.dw(self.pool(F.relu(self.stem(x)))))
        return self.head(F.relu(self.pw(x)).mean((2, 3)))


class Reused(nn.Module):
    """A layer that is called twice: its width must stay."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.twice = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.twice(F.relu(self.twice(F.relu(self.stem(x))))))
        return self.head(x.mean((2, 3)))


def residual() -> nn.Module:
    return ResidualNet(1, 10, (6, 8, 12))


def settled(net: nn.Module, seed: int = 0) -> nn.Module:
    """Evaluation mode, with random batch-norm statistics and affine parameters."""
    random = torch.Generator().manual_seed(seed)
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            for t, low, high in ((m.running_mean, -1, 1), (m.running_var, 0.5, 2), (m.weight.data, 0.5, 1.5),
                                 (m.bias.data, -1, 1)):
                t.copy_(torch.rand(t.shape, generator=random) * (high - low) + low)
    return net.eval()
