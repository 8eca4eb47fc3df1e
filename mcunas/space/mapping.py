# SPDX-License-Identifier: Apache-2.0
"""Weights of one network of a space for another one: a candidate begins from what its parent has learned.

Depth: a layer takes the weights of the parent's layer of that place in its stage, one too many those of the last. Kernels:
the middle, or zeros around. Channels: where there are fewer, those that matter most to whoever reads them, in their order;
where there are more, new filters that nobody reads yet. So a wider, deeper (by residual blocks) or larger-kernelled network
computes what its parent does, until it is trained. After FNA's parameter remapping (Fang et al., arXiv 2001.02525), where
extra layers act at once and the first channels are taken; and Net2Net (Chen et al., arXiv 1511.05641).
"""
from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from mcunas.space import space as spaces
from mcunas.space.blocks.bottleneck import Bottleneck
from mcunas.space.blocks.shortcut import Shortcut
from mcunas.space.genotype import SKIP, Genotype
from mcunas.space.heads import BoxHead
from mcunas.space.net import SpaceNet
from mcunas.space.separable import Separable
from mcunas.space.transplant import compose, onto, picked, put, put_norm, reads

NEW = -1        # a channel that the parent does not have


@dataclass(frozen=True, eq=False)
class Inherited:
    """genotype -> its network with weights mapped from `parent`'s: what an evaluator begins from.

    weights: the parent's state. is_shuffled: the placebo, in which every weight tensor of the parent has its entries in a
    random order, and only scales and batch-norm statistics are inherited. seed: of what is new, and of that order.
    """

    parent: Genotype
    weights: Mapping[str, torch.Tensor]
    is_shuffled: bool = False
    seed: int = 0

    def __call__(self, genotype: Genotype) -> SpaceNet:
        net = self.parent.build_dense()
        net.load_state_dict(self.weights)
        if self.is_shuffled:
            shuffle(net, self.seed)
        torch.manual_seed(self.seed)
        return mapped(net, self.parent, genotype)


def shuffle(net: nn.Module, seed: int) -> None:
    """Every weight tensor's entries in a random order, in place; batch norms and biases stay."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                flat = module.weight.flatten()
                module.weight.copy_(flat[torch.randperm(flat.numel(), generator=random)].view_as(module.weight))


@torch.no_grad()
def mapped(parent: SpaceNet, of: Genotype, wanted: Genotype) -> SpaceNet:
    """The network of `wanted` with `parent`'s weights; both genotypes are of spaces with equally many stages of bottlenecks
    and separable blocks. A head of another kind keeps its first weights. Raises KeyError for other stages, TypeError for
    other blocks."""
    child = wanted.build_dense()
    theirs, ours = _stages(of), _stages(wanted)
    outs = picked(_read_by(parent, theirs, None), child.stem[1].out_channels)
    _put_layer(child.stem, parent.stem, outs, None)
    for stage, slots in ours.items():
        sources = [s for s in theirs[stage] if of.choices[s] != SKIP]
        live = [s for s in slots if wanted.choices[s] != SKIP]
        ins, outs = outs, picked(_read_by(parent, theirs, stage), _outputs(child.slots[live[0]]))
        for place, slot in enumerate(live):
            source = parent.slots[sources[min(place, len(sources) - 1)]]
            _put_block(_plain(child.slots[slot]), _plain(source), ins if place == 0 else outs, outs,
                       is_extra=place >= len(sources))
    _put_head(child.head, parent.head, outs)
    return child


def _stages(genotype: Genotype) -> dict[str, list[str]]:
    """stage -> its slots, in their order."""
    found: dict[str, list[str]] = {}
    for slot in spaces.of_genotype(genotype).slots:
        found.setdefault(slot.name.rpartition("_")[0], []).append(slot.name)
    return found


def _plain(block: nn.Module) -> nn.Module:
    return block.block if isinstance(block, Shortcut) else block


def _outputs(block: nn.Module) -> int:
    plain = _plain(block)
    return (plain.narrow if isinstance(plain, Bottleneck) else plain.pointwise)[1].out_channels


def _read_by(net: SpaceNet, stages: Mapping[str, list[str]], stage: str | None) -> torch.Tensor:
    """How much each channel behind a stage (None: the stem) matters to the layers that read it."""
    names = list(stages)
    after = names.index(stage) + 1 if stage else 0
    own = [net.slots[s] for s in stages[stage][1:]] if stage else []
    following = [net.slots[stages[names[after]][0]]] if after < len(names) else [net.head]
    return sum(reads(_plain(b)) for b in (*own, *following) if not isinstance(b, nn.Identity))


def _put_layer(child: nn.Sequential, parent: nn.Sequential, outs: torch.Tensor, ins: torch.Tensor | None) -> None:
    put(child[1], parent[1].weight, outs, ins)
    put_norm(child[2], parent[2], outs)


def _put_block(child: nn.Module, parent: nn.Module, ins: torch.Tensor, outs: torch.Tensor, is_extra: bool) -> None:
    """ins, outs: child's channel -> the parent's, or NEW. is_extra: the parent has no such layer; silent if residual."""
    if isinstance(child, Bottleneck):
        parent = parent if isinstance(parent, Bottleneck) else compose(parent)
        ins = onto(ins, parent.widen[1].in_channels)
        inner = picked(reads(parent, inside=True), child.filter[1].out_channels)
        _put_layer(child.widen, parent.widen, inner, ins)
        _put_layer(child.filter, parent.filter, inner, None)
        _put_layer(child.narrow, parent.narrow, outs, inner)
        last, is_residual = child.narrow[2], child.adds_input
    elif isinstance(child, Separable):
        parent = parent if isinstance(parent, Separable) else compose(parent)
        ins = onto(ins, parent.depthwise[1].in_channels)
        _put_layer(child.depthwise, parent.depthwise, ins, None)
        _put_layer(child.pointwise, parent.pointwise, outs, ins)
        last, is_residual = child.pointwise[2], False
    else:
        raise TypeError(f"no weights are mapped into {type(child).__name__}")
    if is_extra and is_residual:
        last.weight.zero_()
        last.bias.zero_()


def _put_head(child: nn.Module, parent: nn.Module, ins: torch.Tensor) -> None:
    if isinstance(child, BoxHead) and isinstance(parent, BoxHead):
        outs = picked(parent.out.weight.abs().sum((0, 2, 3)), len(ins))
        _put_block(child.block, parent.block, ins, outs, is_extra=False)
        put(child.out, parent.out.weight, torch.arange(len(parent.out.weight)), outs)
        child.out.bias.copy_(parent.out.bias)
    elif isinstance(child, nn.Linear) and isinstance(parent, nn.Linear):
        child.weight.zero_()
        child.weight[:, ins != NEW] = parent.weight[:, ins[ins != NEW]]
        child.bias.copy_(parent.bias)


def parent_of(genotype: Genotype, net: nn.Module) -> Inherited:
    """What candidates begin from, with copies of the trained weights."""
    return Inherited(genotype, {k: v.clone() for k, v in copy.deepcopy(net).to(
        memory_format=torch.contiguous_format).state_dict().items()})
