# SPDX-License-Identifier: Apache-2.0
"""Budgets as an augmented Lagrangian: one multiplier per schedule step for RAM, one for flash, one for latency.

Budgets start at what the dense network takes and shrink geometrically to their real value; the dual step is clipped.
Without both the multipliers wind up during the transient and the network is pruned far below its budget
(pruning-methods.md section 1.8). A multiplier is the price of one unit of relative budget in nats of task loss.
"""
from __future__ import annotations

import torch

from mcunas.budget import Budget
from mcunas.prune.resources import Usage

RHO = 10.0
DUAL_RATE, DUAL_CLIP = 0.05, 0.1


class Constraints:
    """The multipliers (S + 2,): live bytes per op, then flash, then latency."""

    def __init__(self, budget: Budget, start: Usage) -> None:
        """start: the usage of the network at the beginning, which the annealed budgets depart from."""
        latency = budget.latency_us or max(start.latency_us, 1.0) * 1e6       # no limit: never binds
        self.final = (float(budget.ram_bytes), float(budget.flash_bytes), float(latency))
        self.excess = (max(start.live_bytes) / self.final[0], start.flash_bytes / self.final[1],
                       start.latency_us / self.final[2])
        self.duals = torch.zeros(len(start.live_bytes) + 2)

    def annealed(self, fraction: float) -> tuple[float, float, float]:
        """Budgets (bytes, bytes, us) at `fraction` 0..1 of the way from the start to the real ones."""
        return tuple(b * max(1.0, r ** (1 - fraction)) for b, r in zip(self.final, self.excess))

    def violation(self, resources: tuple[torch.Tensor, torch.Tensor, torch.Tensor], fraction: float) -> torch.Tensor:
        """(S + 2,) relative excess over the annealed budgets; negative where there is room."""
        live, flash, latency = resources
        ram_bytes, flash_bytes, latency_us = self.annealed(fraction)
        return torch.cat([live / ram_bytes, (flash / flash_bytes).view(1), (latency / latency_us).view(1)]) - 1

    def loss(self, violation: torch.Tensor) -> torch.Tensor:
        """The augmented Lagrangian's penalty, to be added to the task loss."""
        reach = torch.clamp(self.duals + RHO * violation, min=0)
        return (reach.square() - self.duals.square()).sum() / (2 * RHO)

    def step(self, violation: torch.Tensor) -> None:
        """Move the multipliers along the violation; the clip keeps a large one from winding them up."""
        self.duals = torch.clamp(self.duals + DUAL_RATE * RHO * violation.detach().clamp(max=DUAL_CLIP), min=0)
