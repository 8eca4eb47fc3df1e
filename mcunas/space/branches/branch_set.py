# SPDX-License-Identifier: Apache-2.0
"""BranchSet: the branches of one layer. Unlike a ChoiceBlock's options they are not rivals: several are kept and add up.

What runs is set before the forward pass and not passed to it, since the network around the layer may be anybody's.
"""
from __future__ import annotations

import copy
import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import nn

from mcunas.space.branches.kinds import Kernel, Window, branches_of, identity_of


class BranchSet(nn.Module):
    """Stands for a convolution and the batch norm behind it: (N, inputs, H, W) -> (N, outputs, H', W'), no activation.

    names: branches that can be dropped, the first is the convolution itself, with its weights and its batch norm's. logits
    (N,) of these: zero at first. kept: indices of those that run. factors: what their outputs are multiplied with, None =
    1. has_identity: whether the identity runs too, where shapes allow. When nothing runs the convolution itself does.
    """

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d | None) -> None:
        super().__init__()
        self.window = Window(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.groups)
        high, wide = conv.padding
        self.padding = (wide, wide, high, high)
        self.branches = nn.ModuleDict(branches_of(self.window))
        self.identity = identity_of(self.window)
        self.names = tuple(self.branches)
        self.logits = nn.Parameter(torch.zeros(len(self.names)))
        self.kept: tuple[int, ...] = tuple(range(len(self.names)))
        self.factors: torch.Tensor | None = None
        self.has_identity = True
        self._form = (conv, norm)       # in a tuple: no submodules
        self.to(conv.weight.dtype)
        own = self.branches["kxk"]
        with torch.no_grad():
            own.conv.weight.copy_(conv.weight)
            if norm is not None:
                own.norm.load_state_dict(norm.state_dict())
                own.norm.eps, own.norm.momentum = norm.eps, norm.momentum
            if conv.bias is not None and norm is not None:
                own.norm.running_mean -= conv.bias
            elif conv.bias is not None:
                own.norm.bias.copy_(conv.bias)

    def keep(self, names: Iterable[str], has_identity: bool = True) -> None:
        """Let these run. Those that cannot stand here are left out."""
        wanted = set(names)
        self.kept, self.factors = tuple(i for i, name in enumerate(self.names) if name in wanted), None
        self.has_identity = has_identity

    def bits(self) -> int:
        """The kept ones as a genotype holds them: bit i is names[i]."""
        return sum(1 << i for i in self.kept)

    def _running(self) -> list[tuple[nn.Module, torch.Tensor | None]]:
        found = [(self.branches[self.names[i]], None if self.factors is None else self.factors[i]) for i in self.kept]
        if self.identity is not None and self.has_identity:
            found.append((self.identity, None))
        return found or [(self.branches["kxk"], None)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.pad(x, self.padding) if any(self.padding) else x
        parts = [branch(x) if factor is None else factor * branch(x) for branch, factor in self._running()]
        return sum(parts[1:], parts[0])

    @torch.no_grad()
    def kernel(self) -> Kernel:
        """The one kernel (outputs, inputs / groups, h, w) and bias (outputs,) of what forward gives in evaluation mode.

        It is summed in float64: the branches may cancel.
        """
        kernels = [copy.deepcopy(branch).double().kernel() for branch, _ in self._running()]
        return tuple(torch.stack(parts).sum(0).to(self.logits.dtype) for parts in zip(*kernels))

    @torch.no_grad()
    def fused(self) -> tuple[nn.Conv2d, nn.BatchNorm2d | None]:
        """The layers that this stands for, with the fused kernel. A batch norm only adds the bias then."""
        (weight, bias), (conv, norm) = self.kernel(), copy.deepcopy(self._form)
        conv.to(weight.dtype).weight.copy_(weight)
        if conv.bias is not None:
            conv.bias.copy_(bias)
        if norm is not None:
            norm.to(weight.dtype).reset_running_stats()
            norm.weight.fill_(math.sqrt(1.0 + norm.eps))
            norm.bias.copy_(bias if conv.bias is None else torch.zeros_like(bias))
        return conv, norm
