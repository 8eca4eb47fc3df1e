# SPDX-License-Identifier: Apache-2.0
"""Blocks and the bits of their weights as one choice: options that differ in the bits alone are one block, which runs once.

Its shares of bits are the options' weights among themselves, its output counts with their sum. So int4 is an option like any
other, with a price of its own, and costs a search no further convolution.
"""
from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from mcunas.space.bit_conv import BitConv, Shares, Way, opened
from mcunas.space.blocks import build, with_bits
from mcunas.space.choice import ChoiceBlock, Gate
from mcunas.space.genotype import SKIP, Genotype
from mcunas.space.net import SpaceNet
from mcunas.space.space import Slot, Space
from mcunas.space.supernet import Supernet, choices_of

LEAST = 1e-6        # of an option's weight: nothing is divided by zero


class BitChoice(ChoiceBlock):
    """options: those of one block are the same module."""

    def __init__(self, options: Mapping[str, nn.Module]) -> None:
        super().__init__(options)
        self._members: dict[str, list[int]] = {}
        for index, option in enumerate(self.names):
            self._members.setdefault(with_bits(option)[0], []).append(index)

    def forward(self, x: torch.Tensor, gate: Gate) -> torch.Tensor:
        total: torch.Tensor | None = None
        for run in self._runs(gate):
            block = self.options[self.names[run[0]]]
            if gate.weights is None:
                return self.at(run[0])(x)
            own = sum(gate.weights[i] for i in run)
            _give(block, [(with_bits(self.names[i])[1], gate.weights[i] / own.clamp_min(LEAST)) for i in run])
            y = own * block(x)
            total = y if total is None else total + y
        assert total is not None
        return total

    def blocks_run(self, gate: Gate) -> int:
        return sum(with_bits(self.names[run[0]])[0] != SKIP for run in self._runs(gate))

    def at(self, index: int) -> nn.Module:
        """The option's block, at its bits."""
        block, bits = self.options[self.names[index]], with_bits(self.names[index])[1]
        _give(block, [(bits, 1.0)])
        return block

    def kill(self, option: str) -> list[nn.Parameter]:
        """As a ChoiceBlock; weights that another option has, too, stay."""
        gone = super().kill(option)
        kept = {id(p) for p in self.options.parameters()}
        return [p for p in gone if id(p) not in kept]

    def _runs(self, gate: Gate) -> list[list[int]]:
        found = [[i for i in members if i in gate.run] for members in self._members.values()]
        return [run for run in found if run]


class BitNet(Supernet):
    """A supernet whose convolutions see what `way` makes of inputs and weights; stem and head are as they are."""

    def __init__(self, space: Space, feasible: Mapping[str, tuple[str, ...]] | None, way: Way) -> None:
        self.way = way
        super().__init__(space, feasible)

    def choice(self, slot: Slot, options: tuple[str, ...]) -> ChoiceBlock:
        names = dict.fromkeys(with_bits(option)[0] for option in options)
        blocks = {name: opened(build(name, slot.context), self.way) for name in names}
        return BitChoice({option: blocks[with_bits(option)[0]] for option in options})

    def extract(self, found: Genotype | Mapping[str, str]) -> SpaceNet:
        """As a Supernet; every layer at the bits of its option."""
        for name, option in choices_of(found).items():
            self.slots[name].at(self.slots[name].index(option))
        return super().extract(found)


def _give(block: nn.Module, shares: Shares) -> None:
    for conv in block.modules():
        if isinstance(conv, BitConv):
            conv.shares = shares
