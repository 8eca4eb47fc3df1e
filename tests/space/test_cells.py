# SPDX-License-Identifier: Apache-2.0
"""A network cut into cells is the same function, and each cell is one that a block can stand for."""
from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn

from mcunas.errors import InputError
from mcunas.space import Genotype
from mcunas.space.cells import TEACHER, Chain, cells_of, rebuilt
from mcunas.space.residual import ResidualNet
from mcunas.space.separable import SeparableNet
from tests.prune.nets import Concatenated, settled

NETS = {"residual": (lambda: ResidualNet(1, 10, (6, 8, 12)), (8, 8, 1), 4),
        "separable": (lambda: SeparableNet(1, 12, (49, 10), (8, 12, 12), ((1, 1), (2, 2)), (10, 4), (2, 2)), (49, 10, 1), 3),
        "joined": (Concatenated, (8, 8, 1), 2)}


@pytest.mark.parametrize("name", NETS)
def test_the_chain_of_cells_is_the_network(name: str):
    make, shape, replaceable = NETS[name]
    torch.manual_seed(0)
    net = settled(make())
    cells = cells_of(net, shape)
    x = torch.randn(2, shape[2], *shape[:2])
    with torch.no_grad():
        want = net(x)
        chain = Chain({c.name: c.module for c in cells})
        assert torch.equal(chain(x), want) and torch.equal(pickle.loads(pickle.dumps(chain))(x), want)
        for cell in cells:
            y = cell.module(x)
            assert x.shape[1:] == (cell.channels, *cell.size)
            assert cell.context is None or (cell.context.outputs, *cell.context.out_size) == y.shape[1:]
            x = y
    assert sum(cell.context is not None for cell in cells) == replaceable


def test_a_genotype_of_cells_builds_the_exchanged_network():
    torch.manual_seed(0)
    start = Genotype("residual", {"widths": [6, 8, 12]}, (8, 8, 1), 10)
    names = [c.name for c in cells_of(start.build_dense(), start.input_shape)]
    choices = {name: TEACHER for name in names} | {names[1]: "mb3_e2"}
    found = Genotype(start.start, start.options, (8, 8, 1), 10, {names[1]: 4}, choices)
    net = found.build_dense()
    assert not found.is_of_space and net(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    assert net.cells[names[1]].widen[1].out_channels == 4
    with pytest.raises(InputError, match="not one option for each cell"):
        rebuilt(start.build_dense(), (8, 8, 1), {names[0]: TEACHER}, {})


def test_a_network_without_images_inside_is_refused():
    with pytest.raises(InputError, match="between two single images"):
        cells_of(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), (8, 8, 1))
