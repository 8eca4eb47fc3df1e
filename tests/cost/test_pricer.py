# SPDX-License-Identifier: Apache-2.0
"""Thousands of genotypes priced together cost what the compiler makes of each."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mcunas.board import Board
from mcunas.compiler import compile_graph
from mcunas.cost import estimate
from mcunas.cost.pricer import Pricer
from mcunas.cost.skeleton import Skeleton
from mcunas.graph.torch_lower import lower
from mcunas.prune.groups import find_groups
from mcunas.prune.skeleton import skeleton_of
from mcunas.space.residual import ResidualNet
from tests.prune.nets import Concatenated, settled


def separable(widths: int = 48, blocks: int = 4) -> nn.Module:
    """Depthwise and 1x1 convolutions in turn."""
    layers = [nn.Conv2d(3, widths, 3, stride=2, padding=1), nn.ReLU()]
    for block in range(blocks):
        layers += [nn.Conv2d(widths, widths, 3, stride=1 + block % 2, padding=1, groups=widths), nn.ReLU(),
                   nn.Conv2d(widths, widths, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths, 10))


def opened(net: nn.Module, example: torch.Tensor) -> Skeleton:
    net = settled(net)
    return skeleton_of(lower(net, example), find_groups(net, example))


class Ghosts(nn.Module):
    """Two Ghost modules, the second one's output and what follows from it side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 3, stride=2, padding=1)
        self.first, self.cheap = nn.Conv2d(12, 12, 1), nn.Conv2d(12, 12, 3, padding=1, groups=12)
        self.second, self.cheaper = nn.Conv2d(24, 20, 3, stride=2, padding=1), nn.Conv2d(20, 20, 3, padding=1, groups=20)
        self.more, self.head = nn.Conv2d(40, 8, 1), nn.Linear(48, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.first(torch.relu(self.stem(x))))
        y = torch.relu(self.second(torch.cat([y, torch.relu(self.cheap(y))], 1)))
        y = torch.cat([y, torch.relu(self.cheaper(y))], 1)
        return self.head(torch.cat([y, torch.relu(self.more(y))], 1).mean((2, 3)))


NETS = {"separable": lambda: opened(separable(), torch.zeros(1, 3, 24, 24)),
        "residual": lambda: opened(ResidualNet(3, 10, (24, 32, 48)), torch.zeros(1, 3, 24, 24)),
        "concatenated": lambda: opened(Concatenated(), torch.zeros(1, 1, 8, 8)),
        "ghosts": lambda: opened(Ghosts(), torch.zeros(1, 3, 16, 16))}


@pytest.mark.parametrize("key, name, count", [("mps2-an386", "separable", 100), ("mps2-an386", "residual", 85),
                                              ("mps2-an386", "concatenated", 10), ("mps3-an547", "separable", 10),
                                              ("mps2-an386", "ghosts", 10), ("mps2-an385", "ghosts", 2),
                                              ("mps2-an385-m0plus", "residual", 5)])
def test_random_genotypes_cost_what_the_compiler_says(key: str, name: str, count: int) -> None:
    skeleton, board, random = NETS[name](), Board.load(key), np.random.default_rng(0)
    widths = np.array([[random.integers(2, full + 1) for full in skeleton.full] for _ in range(count)])
    prices = Pricer(skeleton, board).many(widths, search_arenas=True)
    assert prices.ram_is_exact.all()
    for k, genotype in enumerate(widths.tolist()):
        graph = skeleton.at(genotype)
        cost = estimate(graph, board, rewrite=False)
        assert prices.ram_bytes[k] == cost.ram_bytes, genotype
        if k % 8 == 0:
            assert cost.ram_bytes == compile_graph(graph, board, rewrite=False).plan.arena_bytes
        assert prices.flash_bytes[k] == cost.flash_bytes and round(prices.instructions[k]) == cost.instructions


def test_arenas_that_are_not_searched_for_suffice() -> None:
    skeleton, board, random = NETS["separable"](), Board.load("mps2-an386"), np.random.default_rng(0)
    widths = np.array([[random.integers(2, full + 1) for full in skeleton.full] for _ in range(200)])
    pricer = Pricer(skeleton, board)
    quick, exact = pricer.many(widths), pricer.many(widths, search_arenas=True)
    assert (quick.ram_bytes >= exact.ram_bytes).all() and quick.ram_is_exact.mean() > 0.7
    assert (quick.ram_bytes == exact.ram_bytes)[quick.ram_is_exact].all()


def test_layers_by_their_law_are_those_of_the_lowering() -> None:
    skeleton, board, random = NETS["separable"](), Board.load("mps2-an386"), np.random.default_rng(0)
    widths = np.array([[random.integers(2, full + 1) for full in skeleton.full] for _ in range(2500)])
    pricer = Pricer(skeleton, board)
    prices = pricer.many(widths)
    pairs = {(op, *genotype[groups]) for op, groups in enumerate(pricer.layers.groups) if len(groups) == 2
             for genotype in widths}
    assert len(pricer.layers._known) < len(pairs) / 3                     # the others follow a law
    for k in random.choice(len(widths), 12):
        cost = estimate(skeleton.at(widths[k].tolist()), board, rewrite=False)
        assert prices.flash_bytes[k] == cost.flash_bytes and round(prices.instructions[k]) == cost.instructions
        assert prices.live_bytes[k].tolist() == list(cost.live_bytes_per_op)
        assert prices.ram_bytes[k] == cost.ram_bytes or not prices.ram_is_exact[k]
