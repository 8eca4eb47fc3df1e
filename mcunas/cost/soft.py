# SPDX-License-Identifier: Apache-2.0
"""Prices with a slope, for gradient searches: live bytes per op, flash and cycles as torch functions of the widths.

The value is the exact staircase at the rounded widths, the compiler's own. The slope is that of the straight line between
the staircase's values at the grid widths around them, so it never rewards stopping just above a step (pruning-methods.md
section 1.4, Latency). Under the schedule of the rounded widths: at the best order that is the right derivative (1.4,
Resources).
"""
from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mcunas.cost.pricer import Pricer

if TYPE_CHECKING:
    import torch

_KEPT = 256


@dataclass(frozen=True, eq=False)
class _Tangent:
    """values (V,): live bytes per op, then flash, then cycles; slopes (V, G)."""

    values: np.ndarray
    slopes: np.ndarray


class SoftPrices:
    """Differentiable prices of a Pricer's network. grid: channels between the points that the slope connects."""

    def __init__(self, pricer: Pricer, grid: int = 4) -> None:
        self.pricer, self.grid = pricer, grid
        self._known: OrderedDict[tuple[int, ...], _Tangent] = OrderedDict()

    def __call__(self, widths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(live bytes per op (S,), flash bytes, cycles) at widths (G,), which are rounded for the value."""
        import torch

        full = self.pricer.skeleton.full
        rounded = tuple(min(max(round(w), 1), most) for w, most in zip(widths.detach().tolist(), full))
        tangent = self._at(rounded)
        slopes = torch.as_tensor(tangent.slopes, dtype=widths.dtype)
        found = torch.as_tensor(tangent.values, dtype=widths.dtype) + slopes @ (widths - widths.detach())
        return found[:-2], found[-2], found[-1]

    def _at(self, widths: tuple[int, ...]) -> _Tangent:
        if widths not in self._known:
            while len(self._known) >= _KEPT:
                self._known.popitem(last=False)
            self._known[widths] = self._tangent(widths)
        return self._known[widths]

    def _tangent(self, widths: tuple[int, ...]) -> _Tangent:
        around = [self.neighbours(w, most) for w, most in zip(widths, self.pricer.skeleton.full)]
        tried = [widths]
        for group, ends in enumerate(around):
            tried += [(*widths[:group], end, *widths[group + 1:]) for end in ends]
        prices = self.pricer.many(tried, first_schedule=True)
        values = np.column_stack((prices.live_bytes, prices.flash_bytes, prices.cycles))
        spans = np.array([max(high - low, 1) for low, high in around])
        return _Tangent(values[0], ((values[2::2] - values[1::2]) / spans[:, None]).T)

    def neighbours(self, width: int, most: int) -> tuple[int, int]:
        """The grid widths around a width; the ends of its range stand for a grid point beyond them."""
        low = max(1, width // self.grid * self.grid)
        return (low, min(low - low % self.grid + self.grid, most)) if low < most else (max(1, most - self.grid), most)
