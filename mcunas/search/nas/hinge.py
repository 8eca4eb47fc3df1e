# SPDX-License-Identifier: Apache-2.0
"""The budget in the loss of a gradient search: a hinge per resource, which asks for nothing once the budget is met.

sum_i s_i max(0, cost_i / budget_i - 1) for cycles, flash and the RAM of every block; s_i makes the first excess weigh as
much as the first task loss, and grows from 1 % to 100 % in the first half of the search (nas-methods.md section 0.2). RAM is
a maximum: a hinge on every block is zero where all fit, and pulls at those that do not. Where widths are fixed, options
that cannot fit are gone before the search and it never pulls; where they are searched, it does. The exact check has the
last word, since an expectation below the limit says nothing of each network in it.
"""
from __future__ import annotations

import torch

from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.space.price import Expected

LEAST_EXCESS = 0.25     # of the budget; a search that begins below the budget gets this strength
FIRST_STRENGTH, FULL_AT = 0.01, 0.5


class Hinge:
    """budget: complete (Budget.for_board). strengths: (cycles, flash, RAM), None until `begin`; part of a checkpoint."""

    def __init__(self, budget: Budget, board: Board) -> None:
        latency_us = budget.latency_us or float("inf")
        self.limits = (latency_us * board.clock_hz / 1e6, float(budget.flash_bytes), float(budget.ram_bytes))
        self.strengths: list[float] | None = None

    def excess(self, expected: Expected) -> torch.Tensor:
        """(cycles, flash, RAM) over the limit, relative to it, RAM summed over the blocks that are; the others
        negative below it."""
        cycles, flash_bytes, ram_bytes = self.limits
        blocks = (expected.ram_bytes / ram_bytes - 1).clamp(min=0)
        return torch.stack([expected.cycles / cycles - 1, expected.flash_bytes / flash_bytes - 1, blocks.sum()])

    def begin(self, task_loss: float, expected: Expected) -> None:
        """Set the strengths by the first task loss and the first expectation; once per search."""
        if self.strengths is None:
            self.strengths = [task_loss / max(e, LEAST_EXCESS) for e in self.excess(expected).tolist()]

    def __call__(self, expected: Expected, progress: float) -> torch.Tensor:
        """progress: 0..1 of the search for the architecture."""
        ramp = min(FIRST_STRENGTH + (1 - FIRST_STRENGTH) * progress / FULL_AT, 1.0)
        return ramp * torch.tensor(self.strengths) @ self.excess(expected).clamp(min=0)
