# SPDX-License-Identifier: Apache-2.0
"""Supernet: the network of a space in which every slot still is a choice. Its weights are shared by all genotypes.

    net = Supernet(space)
    gates = net.gates(lambda block: sampling.gumbel(block, tau, random))
    logits = net(images, gates)                       # one forward pass serves every method
    costs = prices.expected(net.weights_of(gates))    # the same draw weighs the prices
    found = net.extract(net.best())                   # a plain module with copies of the weights
"""
from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import nn

from mcunas.space import sampling
from mcunas.space.blocks import build
from mcunas.space.choice import ChoiceBlock, Gate
from mcunas.space.genotype import Genotype
from mcunas.space.heads import ended
from mcunas.space.net import SpaceNet, own_head, stem_of
from mcunas.space.space import Slot, Space

Gates = Mapping[str, Gate]


class Supernet(SpaceNet):
    """(N, C, H, W) and a Gate per slot -> what the space's head gives.

    feasible: slot -> options to begin with; by default all of the space's. option_forwards: how often an option's block has
    run on an image, skips left out, since it was made: what a method really computes.
    """

    def __init__(self, space: Space, feasible: Mapping[str, tuple[str, ...]] | None = None) -> None:
        slots = {}
        for slot in space.slots:
            options = feasible[slot.name] if feasible else slot.options
            slots[slot.name] = self.choice(slot, options)
        super().__init__(stem_of(space), slots, own_head(space))
        self.space = space
        self.option_forwards = 0

    def choice(self, slot: Slot, options: tuple[str, ...]) -> ChoiceBlock:
        """The slot with its options' first weights."""
        return ChoiceBlock({name: build(name, slot.context) for name in options})

    def choices(self) -> dict[str, ChoiceBlock]:
        """slot -> its ChoiceBlock, in the order in which they run."""
        return dict(self.slots.items())

    def arch(self) -> list[nn.Parameter]:
        """What says which network it is; never in a weight optimizer."""
        return [block.alpha for block in self.slots.values()]

    def weights(self) -> list[nn.Parameter]:
        """All other parameters."""
        arch = {id(p) for p in self.arch()}
        return [p for p in self.parameters() if id(p) not in arch]

    def gates(self, draw: sampling.Draw) -> dict[str, Gate]:
        return sampling.gates(self.choices(), draw)

    def path(self, found: Genotype | Mapping[str, str]) -> dict[str, Gate]:
        """Gates that let only one network run: a genotype, or an option for each slot as they stand, which a genotype may
        order otherwise. Raises ValueError where an option is not alive any more."""
        options = choices_of(found)
        return {name: sampling.fixed(block, options[name]) for name, block in self.choices().items()}

    def weights_of(self, gates: Gates) -> list[torch.Tensor]:
        """Per slot the weights (N,) of its options under these gates, one-hot for a single path: what weighs prices."""
        found = []
        for name, block in self.choices().items():
            gate, zeros = gates[name], torch.zeros(len(block.names))
            found.append(zeros.index_fill(0, torch.tensor(gate.run[0]), 1.0) if gate.weights is None else gate.weights)
        return found

    def probs(self, tau: float = 1.0) -> dict[str, torch.Tensor]:
        """slot -> probabilities (N,), without noise."""
        return {name: block.probs(tau) for name, block in self.choices().items()}

    def best(self) -> dict[str, str]:
        """slot -> its most probable option. `space.genotype` of it is the network that it names."""
        return {name: block.best() for name, block in self.choices().items()}

    def names(self) -> dict[str, tuple[str, ...]]:
        """slot -> its options in the order of weights and probabilities."""
        return {name: block.names for name, block in self.choices().items()}

    def forward(self, x: torch.Tensor, gates: Gates) -> torch.Tensor:  # type: ignore[override]
        x = self.stem(x)
        for name, block in self.slots.items():
            self.option_forwards += len(x) * block.blocks_run(gates[name])
            x = block(x, gates[name])
        return ended(self.head, x)

    def extract(self, found: Genotype | Mapping[str, str]) -> SpaceNet:
        """One network (see `path`) as a plain module with copies of this one's weights and statistics.

        Its batch norms hold what the supernet saw: `tasks.training.recalibrate` makes them its own.
        """
        options = choices_of(found)
        blocks = {name: copy.deepcopy(block.options[options[name]]) for name, block in self.choices().items()}
        return SpaceNet(copy.deepcopy(self.stem), blocks, copy.deepcopy(self.head)).train(self.training)

    def kill(self, slot: str, option: str, *optimizers: torch.optim.Optimizer) -> None:
        """Take an option away and free its weights, their gradients and their optimizers' memory. Raises ValueError when it
        is the slot's last."""
        gone = {id(p) for p in self.slots[slot].kill(option)}
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                for parameter in [p for p in group["params"] if id(p) in gone]:
                    optimizer.state.pop(parameter, None)
                group["params"] = [p for p in group["params"] if id(p) not in gone]

    def alive(self) -> dict[str, list[str]]:
        """slot -> options that there are: beside the state_dict, what a checkpoint must hold."""
        return {name: list(block.options) for name, block in self.choices().items()}

    def keep(self, alive: Mapping[str, list[str]]) -> None:
        """Kill all but these, as a checkpoint says; call it before an optimizer is made."""
        for name, block in self.choices().items():
            for option in [o for o in block.options if o not in alive[name]]:
                self.kill(name, option)


def choices_of(found: Genotype | Mapping[str, str]) -> Mapping[str, str]:
    return found.choices if isinstance(found, Genotype) else found
