# SPDX-License-Identifier: Apache-2.0
"""Soft masks on the input channels of every consumer, and the group Taylor scores that say what a channel is worth.

After SMCP (Humble et al., arXiv 2211.02206): the forward pass sees the weights without the pruned input channels, the
backward pass gives all weights their gradient (straight-through), so pruned ones keep learning and may return. Masks sit
on inputs, so the batch norm of the producer does not go stale. A depthwise convolution acts per channel: its consumers
mask what it makes. Where a channel is masked at all its consumers, removing it changes nothing (tests).
"""
from __future__ import annotations

import torch
from torch import nn
from torch.func import functional_call

from mcunas.prune.groups import Channels
from mcunas.prune.masks import axis_mask
from mcunas.tasks import ddp

VARIANTS = ("soft", "hard", "permanent")    # gradient for pruned weights; none; none, and none comes back
MOMENTUM = 0.97                             # of the scores, per step: masks that follow every batch never settle
EXTRA_DECAY = 2e-4
MARGIN = 0.2                # of its score counts while a channel is pruned


class SoftMasks:
    """kept: per group a 0/1 vector. score: per group the running |sum of -w dL/dw| over kernels, outputs and members."""

    def __init__(self, net: nn.Module, channels: Channels, variant: str = "soft") -> None:
        self.net, self.channels, self.variant = net, channels, variant
        self.kept = [torch.ones(g.channels) for g in channels.groups]
        self.score = [torch.zeros(g.channels) for g in channels.groups]
        self.consumers = [path for path, axis in channels.inputs.items() if any(s[0] >= 0 for s in axis.segments)
                          and _mixes_channels(net.get_submodule(path))]
        self._effective: dict[str, torch.Tensor] = {}

    def _input_dim(self, path: str) -> int:
        return 0 if isinstance(self.net.get_submodule(path), nn.ConvTranspose2d) else 1

    def _along(self, path: str, vector: torch.Tensor, dim: int) -> torch.Tensor:
        shape = [1] * self.net.get_submodule(path).weight.dim()
        shape[dim] = -1
        return vector.view(shape)

    def _mask(self, path: str) -> torch.Tensor:
        return self._along(path, axis_mask(self.channels.inputs[path], self.kept), self._input_dim(path))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The masked network's answer; in training, what `observe` needs is kept."""
        self._effective = {}
        for path in self.consumers:
            weight, mask = self.net.get_submodule(path).weight, self._mask(path)
            if self.variant == "soft":
                effective = weight + (weight * (mask - 1)).detach()
            else:
                effective = weight * mask
            if effective.requires_grad:
                effective.retain_grad()
            self._effective[f"{path}.weight"] = effective
        return functional_call(self.net, self._effective, (images,))

    def observe(self) -> None:
        """Update the scores from the last backward pass, and let pruned weights decay faster."""
        ddp.average([effective.grad for effective in self._effective.values()])
        total = [torch.zeros_like(s) for s in self.score]
        for path in self.consumers:
            weight, effective = self.net.get_submodule(path).weight, self._effective[f"{path}.weight"]
            if effective.grad is None:
                continue
            dim = self._input_dim(path)
            outputs = self._along(path, axis_mask(self.channels.outputs[path], self.kept), 1 - dim)
            taylor = (-weight.detach() * effective.grad * outputs).sum([d for d in range(weight.dim()) if d != dim])
            start = 0
            for group, repeat, entries in self.channels.inputs[path].segments:
                if group >= 0:
                    total[group] += taylor[start:start + entries].view(-1, repeat).sum(1)
                start += entries
            if self.variant == "soft" and weight.grad is not None:
                weight.grad += EXTRA_DECAY * weight.detach() * (1 - self._mask(path))
        self.score = [MOMENTUM * s + (1 - MOMENTUM) * t.abs() for s, t in zip(self.score, total)]

    def ranked(self) -> list[torch.Tensor]:
        """Per group the scores by which channels are kept. A permanently pruned channel has none; another has to be
        better by a margin to return, or the noise of the scores alone would exchange channels at every solve."""
        if self.variant == "permanent":
            return [torch.where(k > 0, s, torch.full_like(s, -1.0)) for s, k in zip(self.score, self.kept)]
        return [torch.where(k > 0, s, MARGIN * s) for s, k in zip(self.score, self.kept)]

    def keep(self, counts: tuple[int, ...]) -> int:
        """Keep the best `counts[g]` channels of each group; returns how many pruned ones return."""
        scores, before, returned = self.ranked(), self.kept, 0
        self.kept = []
        for score, count, old in zip(scores, counts, before):
            kept = torch.zeros_like(score)
            kept[torch.argsort(score, descending=True, stable=True)[:count]] = 1.0
            returned += int(((kept > 0) & (old == 0)).sum())
            self.kept.append(kept)
        if self.variant == "soft":
            self._moderate(before)
        return returned

    def _moderate(self, before: list[torch.Tensor]) -> None:
        """Nothing holds back the weights of a pruned channel: where it returns, they have at most the norm of the others."""
        with torch.no_grad():
            for path in self.consumers:
                dim, weight = self._input_dim(path), self.net.get_submodule(path).weight
                old, new = (axis_mask(self.channels.inputs[path], masks) > 0 for masks in (before, self.kept))
                norms = weight.transpose(0, dim).flatten(1).norm(dim=1)
                if (old & new).any():
                    most = norms[old & new].mean()
                    shrink = (most / norms.clamp_min(1e-12)).clamp(max=1)
                    weight *= self._along(path, torch.where(new & ~old, shrink, 1.0), dim)

    def state(self) -> dict:
        return {"kept": self.kept, "score": self.score}

    def load(self, state: dict) -> None:
        self.kept, self.score = list(state["kept"]), list(state["score"])


def _mixes_channels(module: nn.Module) -> bool:
    """Does each output see several channels? Batch norms and depthwise convolutions do not."""
    return isinstance(module, (nn.Linear, nn.ConvTranspose2d)) or (isinstance(module, nn.Conv2d) and module.groups == 1)
