# SPDX-License-Identifier: Apache-2.0
"""Differentiable widths: one scalar per channel group, a soft rank mask, and the importance that orders the channels.

mask_i = sigmoid((w - rank_i - 1/2) / tau): the mask's derivative in w is a local average around the cut, so the task
loss tells what one more channel is worth. Importance is a running mean of (m * dL/dm)^2; since all members of a coupled
group share the mask tensor, it sums over them by itself (pruning-methods.md section 1.4, Mask and Importance).

Widths move as logarithms, all by one step size: a group's share of the step is its share of what would be saved. Adam's
step per group would be the same for all, whatever they cost, and so find little else than a uniform multiplier.
"""
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from mcunas.prune.groups import Axis, Channels
from mcunas.tasks import ddp

START_SHARE = 0.95          # of the dense width
LEAST_WIDTH = 4             # no group is pruned below this, or its own width where that is less
LEAST_SHARE = 0.25          # nor, where the budget allows, below this share of what the median group keeps
TAU_MIN, TAU_END = 0.4, 0.25
DECAY, GAIN_DECAY = 0.95, 0.98
MOMENTUM = 0.9
PRIOR, PRIOR_WIDTH = 0.05, 8        # nats of task loss per e-fold of a width of 8, before the task's gradient says more


class Widths:
    """The widths of all groups and what orders their channels. Kept apart from the network: its own optimizer.

    theta: (G,) logarithm of the share of the dense width; gain: (G,) running mean of the nats of task loss that one
    e-fold of each width saves; importance, rank: per group a vector over the channels still present.
    """

    def __init__(self, channels: Channels, least: int = LEAST_WIDTH) -> None:
        self.channels = channels
        self.full = torch.tensor([float(g.channels) for g in channels.groups])
        self.least = torch.minimum(torch.full_like(self.full, float(least)), self.full)
        self.theta = torch.full_like(self.full, math.log(START_SHARE)).requires_grad_()
        self.gain, self.momentum, self.scale = (torch.zeros_like(self.full) for _ in range(3))
        self.importance = [torch.zeros(g.channels) for g in channels.groups]
        self.rank = [torch.arange(g.channels) for g in channels.groups]
        self.progress = 0.0
        self._masks: list[torch.Tensor] = []

    def widths(self) -> torch.Tensor:
        """(G,) real widths, differentiable."""
        return self.full * torch.exp(self.theta)

    def step(self, rate: float) -> None:
        """Move along the gradient on theta: the group with the greatest one by about `rate`, the others in proportion."""
        with torch.no_grad():
            gradient = self.theta.grad - PRIOR * torch.sqrt(PRIOR_WIDTH / self.widths())
            self.momentum = MOMENTUM * self.momentum + (1 - MOMENTUM) * gradient
            largest = gradient.abs().max().expand_as(self.scale)
            self.scale = torch.where(self.scale > 0, DECAY * self.scale + (1 - DECAY) * largest, largest)
            self.theta -= rate * self.momentum / self.scale.clamp_min(1e-12)
            self.theta.clamp_(max=0.0).copy_(torch.maximum(self.theta, torch.log(self.least / self.full)))

    def tau(self, group: int) -> float:
        """Softness of the cut in channels, annealed over `progress` 0..1."""
        start = max(TAU_MIN, float(self.full[group]) / 40)
        return start * math.pow(TAU_END / start, self.progress)

    def reorder(self) -> None:
        """Rank the channels by importance; called between epochs so that masks move smoothly within one."""
        for g, importance in enumerate(self.importance):
            order = torch.argsort(importance, descending=True, stable=True)
            self.rank[g] = torch.empty_like(order)
            self.rank[g][order] = torch.arange(len(order))

    def soft_masks(self) -> list[torch.Tensor]:
        """One mask (C_g,) per group; the task gradient on them is kept for `observe`."""
        widths = self.widths()
        self._masks = [torch.sigmoid((widths[g] - rank - 0.5) / self.tau(g)) for g, rank in enumerate(self.rank)]
        for mask in self._masks:
            if mask.requires_grad:
                mask.retain_grad()
        return self._masks

    def open_masks(self) -> list[torch.Tensor]:
        """Masks of ones: nothing is pruned, but `observe` learns what each channel is worth."""
        self._masks = [torch.ones(len(rank)).requires_grad_() for rank in self.rank]
        return self._masks

    def hard_masks(self, widths: list[int]) -> list[torch.Tensor]:
        return [(rank < w).float() for rank, w in zip(self.rank, widths)]

    def observe(self) -> None:
        """Update importance and gain from the last backward pass of the task loss."""
        ddp.average([self.theta.grad, *(mask.grad for mask in self._masks)])
        if self.theta.grad is not None:
            self.gain = GAIN_DECAY * self.gain - (1 - GAIN_DECAY) * self.theta.grad
        for g, mask in enumerate(self._masks):
            if mask.grad is not None:
                score = (mask.detach() * mask.grad).square()
                self.importance[g].mul_(DECAY).add_(score, alpha=1 - DECAY)

    def value(self, group: int) -> torch.Tensor:
        """Importance of the group's channels, best first, in units of the group's mean: comparable between groups."""
        ordered = torch.sort(self.importance[group], descending=True).values
        return ordered / ordered.mean().clamp_min(1e-20)

    def worth(self, group: int) -> np.ndarray:
        """What each further channel of the group saves, in nats: an e-fold of width w is worth in proportion to w^-1/2.

        A plain logarithm would not care how two layers share a product of widths, and leave one of them a bottleneck.
        """
        width, count = float(self.widths()[group].detach()), np.arange(1.0, len(self.rank[group]) + 1)
        scale = PRIOR * math.sqrt(PRIOR_WIDTH) + max(float(self.gain[group]), 0.0) * math.sqrt(width)
        saved = -2 * scale / np.sqrt(count)
        return np.diff(saved, prepend=2 * saved[0])

    def floors(self, widths: Sequence[float]) -> list[int]:
        """Widths below which no group should fall beside the others at `widths`: importance alone starves some."""
        median = float(np.median(np.array(widths) / self.full.numpy()))
        return [max(int(low), round(LEAST_SHARE * median * float(full))) for low, full in zip(self.least, self.full)]

    def keep(self, widths: list[int]) -> list[torch.Tensor]:
        """Indices of the best `widths[g]` channels of each group, in their present order."""
        return [torch.nonzero(rank < w).flatten() for rank, w in zip(self.rank, widths)]

    def select(self, keep: list[torch.Tensor]) -> None:
        """Forget all channels but `keep`."""
        self.importance = [v[k] for v, k in zip(self.importance, keep)]
        self.rank = [torch.argsort(torch.argsort(r[k])) for r, k in zip(self.rank, keep)]

    def state(self) -> dict:
        return {"theta": self.theta.detach().clone(), "gain": self.gain, "momentum": self.momentum, "scale": self.scale,
                "importance": self.importance, "rank": self.rank}

    def load(self, state: dict) -> None:
        self.theta = state["theta"].clone().requires_grad_()
        self.gain, self.momentum, self.scale = state["gain"], state["momentum"], state["scale"]
        self.importance, self.rank = list(state["importance"]), list(state["rank"])


def axis_mask(axis: Axis, masks: list[torch.Tensor]) -> torch.Tensor:
    """The mask of a whole channel axis: each group's mask repeated and strung together, ones where frozen."""
    parts = [masks[g].repeat_interleave(r) if g >= 0 else torch.ones(n) for g, r, n in axis.segments]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


class Gates:
    """Multiplies masks into a network: after each producer's batch norm, before activation and addition.

    Use as a context: ``with Gates(net, channels, masks): net(x)``.
    """

    def __init__(self, net: nn.Module, channels: Channels, masks: list[torch.Tensor]) -> None:
        self.modules = {path: net.get_submodule(path) for path in channels.gates}
        self.masks = {path: axis_mask(channels.outputs[path], masks) for path in channels.gates}
        self.handles: list = []

    def __enter__(self) -> Gates:
        for path, module in self.modules.items():
            self.handles.append(module.register_forward_hook(self._hook(self.masks[path])))
        return self

    @staticmethod
    def _hook(mask: torch.Tensor):
        return lambda module, inputs, output: output * mask.view(1, -1, *([1] * (output.dim() - 2)))

    def __exit__(self, *unused: object) -> None:
        for handle in self.handles:
            handle.remove()
        self.handles = []
