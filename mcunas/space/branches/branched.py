# SPDX-License-Identifier: Apache-2.0
"""A network whose convolutions are BranchSets: how many of all branches are kept is one number for the whole network.

Masks keep the branches of the largest logits (with logistic noise while they are searched) across all layers, exactly
floor(ratio * total) of them. Fusion gives the network back in its own form: same modules, same names, other weights.
"""
from __future__ import annotations

import copy
import math
from collections.abc import Iterable

import torch
from torch import nn

from mcunas.errors import InputError
from mcunas.graph.torch_trace import trace
from mcunas.space.branches.branch_set import BranchSet

ALL = ("kxk", "1x1", "1xk", "kx1", "average", "1x1-kxk")
HAND_MADE = ("kxk", "1x1", "average", "1x1-kxk")        # DiverseBranchBlock's
PLAIN = ("kxk",)


class Branched(nn.Module):
    """net: any module that can be traced; it is copied. example: (1, C, H, W). own: first logit of the convolutions that
    stand there already, of other branches 0.

    A convolution is replaced where the fused kernel has a place for its bias: in a batch norm right behind it, or in its
    own bias. 1x1 convolutions, transposed and dilated ones, and those that are called twice stay as they are. Raises
    InputError when none is left to replace.
    """

    def __init__(self, net: nn.Module, example: torch.Tensor, own: float = 0.0) -> None:
        super().__init__()
        self.pairs = _pairs(net, example)
        if not self.pairs:
            raise InputError("it has no k x k convolution that could train in branches", where=type(net).__name__,
                             fix="give convolutions a batch norm or a bias")
        self.net = copy.deepcopy(net)
        for conv, norm in self.pairs.items():
            behind = self.net.get_submodule(norm) if norm else None
            _put(self.net, conv, BranchSet(self.net.get_submodule(conv), behind))
            if norm:
                _put(self.net, norm, nn.Identity())
        with torch.no_grad():
            for s in self.sets.values():
                s.logits[0] = own

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)

    @property
    def sets(self) -> dict[str, BranchSet]:
        """The convolution's path in the network -> what stands for it."""
        return {name: self.net.get_submodule(name) for name in self.pairs}

    @property
    def total(self) -> int:
        return sum(len(s.names) for s in self.sets.values())

    def arch(self) -> list[nn.Parameter]:
        """Logits; never in a weight optimizer."""
        return [s.logits for s in self.sets.values()]

    def weights(self) -> list[nn.Parameter]:
        arch = {id(p) for p in self.arch()}
        return [p for p in self.parameters() if id(p) not in arch]

    def draw(self, ratio: float, random: torch.Generator | None = None, learns: bool = False) -> None:
        """Keep floor(ratio * total) branches of the whole network, those of the largest logits.

        random: with the difference of two Gumbel draws added to each. learns: kept branches get a factor of 1 with the
        slope of the sigmoid of their (noisy) logit.
        """
        logits = torch.cat(self.arch())
        if random is not None:
            uniform = torch.rand(2, len(logits), generator=random).clamp(1e-9, 1 - 1e-7)
            first, second = -torch.log(-torch.log(uniform))
            logits = logits + (first - second).to(logits.dtype)
        count = math.floor(ratio * self.total)
        mask = torch.zeros(self.total, dtype=torch.bool)
        mask[logits.detach().topk(count).indices] = True
        assert int(mask.sum()) == count
        soft = torch.sigmoid(logits)
        factors = 1.0 + soft - soft.detach()
        sizes = [len(s.names) for s in self.sets.values()]
        for s, part, factor in zip(self.sets.values(), mask.split(sizes), factors.split(sizes)):
            s.kept, s.has_identity = tuple(part.nonzero().flatten().tolist()), True
            s.factors = factor if learns else None

    def keep(self, names: Iterable[str], has_identity: bool = True) -> None:
        """Keep the same branches in every layer."""
        names = tuple(names)
        for s in self.sets.values():
            s.keep(names, has_identity)

    def masks(self) -> dict[str, int]:
        """BranchSet -> bit-mask of the kept, as Genotype.branches holds them."""
        return {name: s.bits() for name, s in self.sets.items()}

    def take(self, masks: dict[str, int]) -> None:
        """Keep what `masks` gave, without noise or slope."""
        for name, s in self.sets.items():
            s.kept, s.factors = tuple(i for i in range(len(s.names)) if masks[name] >> i & 1), None

    @torch.no_grad()
    def fused(self) -> nn.Module:
        """The network in its own form, which in evaluation mode gives what this one gives: same modules, same names."""
        net = copy.deepcopy(self.net)
        for conv, norm in self.pairs.items():
            layers = self.sets[conv].fused()
            _put(net, conv, layers[0])
            if norm:
                _put(net, norm, layers[1])
        return net.train(self.training)


def _pairs(net: nn.Module, example: torch.Tensor) -> dict[str, str]:
    """Path of each convolution that can be replaced -> path of the batch norm behind it, or ""."""
    traced = trace(copy.deepcopy(net).eval(), example)
    modules = dict(traced.named_modules())
    calls = [n for n in traced.graph.nodes if n.op == "call_module"]
    times: dict[str, int] = {}
    for node in calls:
        times[node.target] = times.get(node.target, 0) + 1
    found = {}
    for node in calls:
        conv = modules[node.target]
        if type(conv) is not nn.Conv2d or times[node.target] > 1 or max(conv.kernel_size) == 1 or not _is_plain(conv):
            continue
        behind = next(iter(node.users)) if len(node.users) == 1 else None
        if behind is not None and behind.op == "call_module" and _is_norm(modules[behind.target], times[behind.target]):
            found[node.target] = behind.target
        elif conv.bias is not None:
            found[node.target] = ""
    return found


def _is_plain(conv: nn.Conv2d) -> bool:
    return conv.dilation == (1, 1) and conv.padding_mode == "zeros" and not isinstance(conv.padding, str)


def _is_norm(module: nn.Module, times: int) -> bool:
    return type(module) is nn.BatchNorm2d and times == 1 and module.affine and module.track_running_stats


def _put(net: nn.Module, path: str, module: nn.Module) -> None:
    owner, _, name = path.rpartition(".")
    setattr(net.get_submodule(owner), name, module)
