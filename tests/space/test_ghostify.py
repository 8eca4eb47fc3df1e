# SPDX-License-Identifier: Apache-2.0
"""A network upgraded to C-Ghost: cheaper by what the paper says, and its concatenations share one scale in int8."""
from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mcunas.board import Board
from mcunas.cost import estimate
from mcunas.errors import InputError
from mcunas.graph.from_torch import from_torch
from mcunas.graph.oracle import Oracle
from mcunas.quantize.fold import fold
from mcunas.space import ghostify
from mcunas.space.residual import ResidualNet
from tests.prune.nets import settled


class Pointwise(nn.Module):
    """Heavy in 1x1 convolutions, with a functional ReLU and an addition."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.widen = nn.Conv2d(1, 32, 3, 2, 1), nn.Conv2d(32, 96, 1, bias=False)
        self.norm, self.back = nn.BatchNorm2d(96), nn.Conv2d(96, 32, 1)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.stem(x))
        x = x + self.back(F.relu(self.norm(self.widen(x))))
        return self.head(x.mean((2, 3)))


def macs(net: nn.Module, x: torch.Tensor) -> int:
    graph = from_torch(fold(net.eval(), x[:1]), x, (1 / 255, -128))
    return estimate(graph, Board.load("mps2-an386"), rewrite=False).macs


@pytest.mark.parametrize("make", [Pointwise, lambda: ResidualNet(1, 10, (24, 48, 96))])
def test_about_half_of_the_work_is_left_and_what_is_concatenated_has_one_scale(make) -> None:
    torch.manual_seed(0)
    x, net = torch.rand(8, 1, 16, 16), settled(make())
    ghost = ghostify(net, x)
    assert 0.5 < macs(ghost, x) / macs(net, x) < 0.65
    graph = from_torch(fold(ghost.eval(), x[:1]), x, (1 / 255, -128))
    joins = [op for op in graph.ops if op.kind == "CONCATENATION"]
    scales = [{graph.tensors[t].quant.scale[0] for t in (*op.inputs, *op.outputs)} for op in joins]
    assert joins and all(len(equal) == 1 for equal in scales)
    quant, oracle = graph.tensors[graph.outputs[0]].quant, Oracle(graph)
    q = (np.rint(x.permute(0, 2, 3, 1).numpy() * 255) - 128).clip(-128, 127).astype(np.int8)
    found = np.concatenate([oracle.outputs([one[None]])[0] for one in q])
    real = (found.astype(float) - quant.zero_point[0]) * quant.scale[0]
    with torch.no_grad():
        wanted = ghost(x).numpy()
    assert np.abs(real - wanted).max() < 0.1 * np.abs(wanted).max()


def test_the_primary_half_keeps_its_weights_and_the_model_is_left_alone() -> None:
    torch.manual_seed(0)
    net = settled(Pointwise())
    before = {k: v.clone() for k, v in net.state_dict().items()}
    ghost = ghostify(net, torch.rand(1, 1, 16, 16))
    first = [m for m in ghost.modules() if isinstance(m, nn.Conv2d) and m.in_channels == 32 and m.groups == 1][0]
    assert torch.equal(first.weight, net.widen.weight[:48])
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_a_network_without_a_layer_to_replace_is_refused() -> None:
    with pytest.raises(InputError, match="become cheaper"):
        ghostify(nn.Sequential(nn.Conv2d(1, 7, 3), nn.ReLU()), torch.rand(1, 1, 8, 8))
