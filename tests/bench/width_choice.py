# SPDX-License-Identifier: Apache-2.0
"""WidthChoice: how many of the first channels of a layer count. All widths share the widest one's weights.

A mask over the channels stands for the width while it is searched (as in FBNetV2, Wan et al., arXiv 2004.05565: one pass of
the widest layer whatever the number of widths); a width that is certain is a prefix that can be cut out. Consumers that
an addition joins must share one WidthChoice.
"""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class WidthChoice(nn.Module):
    """grid: widths in rising order; the last is the layer's. alpha (W,) are logits."""

    def __init__(self, grid: Sequence[int]) -> None:
        super().__init__()
        self.grid = tuple(grid)
        if list(self.grid) != sorted(set(self.grid)) or self.grid[0] < 1:
            raise ValueError(f"{self.grid} are not widths in rising order")
        self.alpha = nn.Parameter(torch.zeros(len(self.grid)))
        self.register_buffer("prefixes", torch.stack([(torch.arange(self.grid[-1]) < w).float() for w in self.grid]),
                             persistent=False)

    def probs(self, tau: float = 1.0) -> torch.Tensor:
        return torch.softmax(self.alpha / tau, 0)

    def best(self) -> int:
        """The most probable width."""
        return self.grid[int(self.alpha.argmax())]

    def mask(self, weights: torch.Tensor) -> torch.Tensor:
        """(widest,) factors of the channels under weights (W,); ones and zeros where one width is certain."""
        return weights @ self.prefixes

    def expected(self, weights: torch.Tensor) -> torch.Tensor:
        """The mean width, differentiable."""
        return weights @ weights.new_tensor(self.grid, dtype=weights.dtype)
