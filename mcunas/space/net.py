# SPDX-License-Identifier: Apache-2.0
"""The network of a space: stem, one block per slot, mean over the image, linear head. A supernet has the same shape."""
from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from mcunas.space import space as spaces
from mcunas.space.blocks import build
from mcunas.space.genotype import Genotype
from mcunas.space.layers import conv_norm
from mcunas.space.space import Space


class SpaceNet(nn.Module):
    """(N, C, H, W) -> logits (N, classes). slots: slot name -> its block, in the order in which they run."""

    def __init__(self, stem: nn.Module, slots: Mapping[str, nn.Module], head: nn.Linear) -> None:
        super().__init__()
        self.stem, self.slots, self.head = stem, nn.ModuleDict(slots), head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.slots.values():
            x = block(x)
        return self.head(x.mean((2, 3)))


def stem_of(space: Space) -> nn.Sequential:
    kernel, channels, stride = space.stem
    return nn.Sequential(*conv_norm(space.input_shape[2], channels, kernel, stride, space.size), nn.ReLU())


def net_of(genotype: Genotype) -> SpaceNet:
    """The genotype's network with its first weights. Raises InputError when the space has no such network."""
    space = spaces.of_genotype(genotype)
    space.genotype(genotype.choices)
    blocks = {s.name: build(genotype.choices[s.name], s.context, genotype.widths.get(s.name)) for s in space.slots}
    return SpaceNet(stem_of(space), blocks, nn.Linear(space.outputs, space.classes))
