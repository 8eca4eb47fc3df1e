# SPDX-License-Identifier: Apache-2.0
"""Predicted cycles of random networks beside those of the image in QEMU: the kernels that were priced are those that run.

The bound is that of the tables' held-out layers (docs/results/cost.md), not a wish: work of some kernels depends on values.
"""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mcunas.board import Board
from mcunas.compiler import compile_graph
from mcunas.cost import estimate
from mcunas.cost.estimate import Priced
from mcunas.device import build, executed
from mcunas.graph import Graph
from mcunas.graph.from_torch import from_torch
from tests.prune.nets import settled


def random_network(seed: int) -> Graph:
    """Separable or plain blocks of random widths with random weights, on 16x16 images."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    widths = [int(w) for w in random.integers(4, 33, 4)]
    layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 3, stride=2, padding=1), nn.ReLU()]
    for k, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        stride = 1 + int(random.integers(2)) * (k == 1)
        if random.integers(2):
            layers += [nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs), nn.ReLU(), nn.Conv2d(inputs, outputs, 1)]
        else:
            layers += [nn.Conv2d(inputs, outputs, 3, stride, 1)]
        layers += [nn.ReLU()]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], 10)]
    return from_torch(settled(nn.Sequential(*layers)), torch.rand(8, 3, 16, 16))


@pytest.mark.parametrize(("key", "within"), [("mps2-an386", 0.05), ("mps2-an385-m0plus", 0.10), ("mps3-an547", 0.10)])
def test_predicted_cycles_are_those_of_the_kernels_that_run(key: str, within: float, tmp_path: Path) -> None:
    board = Board.load(key)
    for seed in range(2):
        graph = random_network(seed)
        compiled, cost = compile_graph(graph, board), estimate(graph, board)
        image = build(compiled, board, tmp_path / str(seed))
        priced = Priced.of(compiled.plan.program.graph, board).program.calls
        assert [[c.kernel for c in calls] for calls in priced] == [layer["kernels"] for layer in image.manifest["layers"]]
        _, cycles = executed(image)
        assert cost.cycles == pytest.approx(cycles.typical, rel=within)
