# SPDX-License-Identifier: Apache-2.0
"""The network of a space: stem, one block per slot, head. A supernet has the same shape."""
from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from mcunas.space import space as spaces
from mcunas.space.blocks import build
from mcunas.space.genotype import Genotype
from mcunas.space.heads import ended, head_of
from mcunas.space.layers import conv_norm
from mcunas.space.space import Space


class SpaceNet(nn.Module):
    """(N, C, H, W) -> what the head gives: logits (N, classes), or a map.

    slots: slot name -> its block, in the order in which they run.
    """

    def __init__(self, stem: nn.Module, slots: Mapping[str, nn.Module], head: nn.Module) -> None:
        super().__init__()
        self.stem, self.slots, self.head = stem, nn.ModuleDict(slots), head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.slots.values():
            x = block(x)
        return ended(self.head, x)


def stem_of(space: Space) -> nn.Sequential:
    kernel, channels, stride = space.stem
    return nn.Sequential(*conv_norm(space.input_shape[2], channels, kernel, stride, space.size), nn.ReLU())


def own_head(space: Space) -> nn.Module:
    return head_of(space.head, space.outputs, space.classes, space.slots[-1].context.out_size)


def net_of(genotype: Genotype) -> SpaceNet:
    """The genotype's network with its first weights. Raises InputError when the space has no such network."""
    space = spaces.of_genotype(genotype)
    space.genotype(genotype.choices)
    blocks = {s.name: build(genotype.choices[s.name], s.context, genotype.widths.get(s.name)) for s in space.slots}
    return SpaceNet(stem_of(space), blocks, own_head(space))
