# SPDX-License-Identifier: Apache-2.0
"""What trains wide and linear collapses to one convolution, exactly; NN-Mass and its scaling."""
from __future__ import annotations

import pytest
import torch
from torch import nn

from mcunas.space.blocks import Context, build
from mcunas.space.blocks.collapsible import collapsed
from mcunas.space.nn_mass import nn_mass, scaled, scalings
from mcunas.space.price import graph_of
from mcunas.space.space import load
from tests.space.test_branches import upset

CONTEXTS = [Context((7, 9), 4, 4), Context((8, 8), 4, 6, 2), Context((9, 7), 3, 5, 2), Context((6, 6), 4, 7),
            Context((16, 1), 4, 4), Context((15, 1), 4, 6, 2)]


@pytest.mark.parametrize("context", CONTEXTS, ids=str)
def test_a_restructured_block_collapses_exactly(context: Context) -> None:
    block, images = upset(build("ran3_e4", context)), 5 * torch.randn(8, context.inputs, *context.size,
                                                                     generator=torch.Generator().manual_seed(2))
    for dtype, limit in ((torch.float32, 1e-4), (torch.float64, 1e-10)):
        block, images = block.to(dtype), images.to(dtype)
        with torch.no_grad():
            wanted, got = block(images), block.deployed()(images)
        assert got.shape == (8, context.outputs, *context.out_size) and (wanted > 0).any()
        assert float((wanted - got).abs().max()) <= limit * max(1.0, float(wanted.abs().max()))


def test_a_linear_block_of_products_collapses_exactly() -> None:
    block = upset(build("linear3x3", Context((7, 7), 4, 6)).double())
    images = torch.randn(2, 4, 7, 7, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(block(images), collapsed(block)(images), rtol=0, atol=1e-10)


@pytest.mark.parametrize("context", [Context((8, 8), 4, 4), Context((8, 8), 4, 6, 2)], ids=str)
def test_it_is_deployed_as_the_plain_convolution_is(context: Context) -> None:
    a, b = (graph_of(build(name, context), context.size, context.inputs) for name in ("ran3_e6", "conv3x3"))
    assert [(op.kind, op.attrs) for op in a.ops] == [(op.kind, op.attrs) for op in b.ops]
    assert [t.shape for t in a.tensors] == [t.shape for t in b.tensors] and len(a.ops) == 1


def test_blocks_inside_a_network_collapse_and_leave_it_as_it_was() -> None:
    context = Context((8, 8), 4, 4)
    net = upset(nn.Sequential(build("ran3_e2", context), build("mb3_e2", context), build("linear3x3", context)))
    names, images = list(net.state_dict()), torch.rand(2, 4, 8, 8)
    with torch.no_grad():
        assert torch.allclose(net(images), collapsed(net)(images), rtol=1e-4, atol=1e-4)
    assert list(net.state_dict()) == names


def test_nn_mass_counts_residual_blocks_and_scaling_trades_width_for_depth() -> None:
    stages = [{"channels": 16, "stride": 2, "slots": 4}, {"channels": 32, "stride": 2, "slots": 4}]
    space = load("digits", {"options": ["mb3_e2", "conv3x3", "skip"], "stages": stages}, (16, 16, 1), 10)
    whole = scaled(space, "mb3_e2", 1.0, 4)
    assert nn_mass(whole) == 2 * (3 * 16 + 3 * 32)
    assert nn_mass(space.uniform("conv3x3")) == 0 and nn_mass(scaled(space, "mb3_e2", 1.0, 1)) == 0
    half = scaled(space, "mb3_e2", 0.5, 2)
    assert nn_mass(half) == 2 * (8 + 16) and half.widths == {"stem": 4, "s0": 8, "s1": 16}
    found = list(scalings(space, "mb3_e2", lambda g: nn_mass(g) <= 60))
    assert [depth for depth, _, _ in found] == [1, 2, 3, 4]
    multipliers = [m for _, m, _ in found]
    assert multipliers == sorted(multipliers, reverse=True) and multipliers[0] == 1.0
