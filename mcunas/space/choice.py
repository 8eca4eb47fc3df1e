# SPDX-License-Identifier: Apache-2.0
"""ChoiceBlock: the options of one slot, the parameters alpha that say how good each is, and a forward pass by a Gate.

A Gate says which options run and what weighs their outputs. How it is drawn (sampling.py) is the caller's affair, once
per batch and not per image, so one forward pass serves every method: mixture, Gumbel, binary gates, one path.
All of them give the same output when one option has probability 1.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from mcunas.space.genotype import SKIP


@dataclass(frozen=True, eq=False)
class Gate:
    """run: indices of the options that are evaluated. weights (N,): factor of each option's output, differentiable in
    alpha; None = the single one that runs counts as it is. is_binary: the first of `run` has weight 1 and runs alone; the
    others run in the backward pass, for the gradient of their weights, and nothing of them is kept (ProxylessNAS)."""

    run: tuple[int, ...]
    weights: torch.Tensor | None = None
    is_binary: bool = False


class ChoiceBlock(nn.Module):
    """options: name -> block, all for one Context. alpha (N,) are logits: zero at first, that is all alike.

    alive: which options there still are, by index; those that are not have probability 0 and no weights.
    """

    def __init__(self, options: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.names = tuple(options)
        self.options = nn.ModuleDict(options)
        self.alpha = nn.Parameter(torch.zeros(len(self.names)))

    @property
    def alive(self) -> tuple[int, ...]:
        return tuple(i for i, name in enumerate(self.names) if name in self.options)

    def logits(self) -> torch.Tensor:
        """alpha (N,), minus infinity for what is not alive."""
        dead = torch.tensor([name not in self.options for name in self.names])
        return self.alpha.masked_fill(dead, -torch.inf)

    def probs(self, tau: float = 1.0) -> torch.Tensor:
        """Probabilities (N,) over what is alive, differentiable in alpha."""
        return torch.softmax(self.logits() / tau, 0)

    def best(self) -> str:
        """The most probable option; the first of equals."""
        return self.names[int(self.probs().argmax())]

    def index(self, option: str) -> int:
        return self.names.index(option)

    def kill(self, option: str) -> list[nn.Parameter]:
        """Take an option away, with its weights, which are returned for the optimizer to forget. The last one stays:
        raises ValueError."""
        if option not in self.options or len(self.options) == 1:
            raise ValueError(f"{option} is the last option, or none")
        return list(self.options.pop(option).parameters())

    def blocks_run(self, gate: Gate) -> int:
        """How many blocks a forward pass by this gate runs; leaving a slot out is none."""
        return sum(self.names[i] != SKIP for i in gate.run)

    def forward(self, x: torch.Tensor, gate: Gate) -> torch.Tensor:
        if gate.weights is None:
            (only,) = gate.run
            return self.options[self.names[only]](x)
        if gate.is_binary:
            active = self.options[self.names[gate.run[0]]](x)
            return _BinaryGate.apply(active, gate.weights, x.detach(), self, gate.run)
        return sum(gate.weights[i] * self.options[self.names[i]](x) for i in gate.run)


class _BinaryGate(torch.autograd.Function):
    """Passes the active option's output on; in the backward pass, dL/dweight_i = <output of i, dL/doutput> for all in `run`
    (Cai et al., arXiv 1812.00332, section 3.2)."""

    @staticmethod
    def forward(ctx, active: torch.Tensor, weights: torch.Tensor, x: torch.Tensor, block: ChoiceBlock,
                run: tuple[int, ...]) -> torch.Tensor:
        ctx.save_for_backward(active, x)
        ctx.block, ctx.run, ctx.count = block, run, len(weights)
        return active.view_as(active)

    @staticmethod
    def backward(ctx, slope: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        active, x = ctx.saved_tensors
        found = slope.new_zeros(ctx.count)
        with torch.no_grad():
            for i in ctx.run:
                y = active if i == ctx.run[0] else ctx.block.options[ctx.block.names[i]](x)
                found[i] = (y * slope).sum()
        return slope, found, None, None, None
