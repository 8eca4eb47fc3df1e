# SPDX-License-Identifier: Apache-2.0
"""int4 weights of a float layer: the scale that loses least, and what is lost."""
from __future__ import annotations

import torch

LEVELS = 7                  # on each side of zero
_SHARES = torch.linspace(0.4, 1.0, 25)      # of the largest magnitude


def best_magnitude(weight: torch.Tensor, one_for_all: bool) -> torch.Tensor:
    """(C,), or (1,): the value of the highest level with the least squared error, per output channel (axis 0) or for all.

    A fully connected layer takes one_for_all, because TFLite Micro has no other int4 form of it.
    """
    flat = weight.reshape(1 if one_for_all else weight.shape[0], -1)
    tried = flat.abs().amax(1, keepdim=True).clamp_min(1e-6) * _SHARES
    errors = torch.stack([((rounded(flat, top[:, None]) - flat) ** 2).sum(1) for top in tried.T], dim=1)
    return tried.gather(1, errors.argmin(1, keepdim=True))[:, 0]


def rounded(weight: torch.Tensor, magnitude: torch.Tensor) -> torch.Tensor:
    """The nearest values on the grid. magnitude: of the highest level, in a shape that spreads over the weights."""
    step = magnitude / LEVELS
    return (weight / step).round().clamp(-LEVELS, LEVELS) * step


def perturbed(weight: torch.Tensor, one_for_all: bool) -> torch.Tensor:
    """The weight as int4 at its best scale."""
    magnitude = best_magnitude(weight, one_for_all)
    return rounded(weight, magnitude.view(-1, *[1] * (weight.dim() - 1)))
