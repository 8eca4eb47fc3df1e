# SPDX-License-Identifier: Apache-2.0
"""Branches fuse to one convolution, exactly, borders included; masks keep the number of branches that was asked for."""
from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mcunas.errors import InputError
from mcunas.space.branches import Branched
from mcunas.space.branches.branched import ALL, PLAIN
from mcunas.space.layers import conv_norm
from mcunas.space.price import graph_of


def upset(net: nn.Module) -> nn.Module:
    """Random weights and statistics everywhere, as no training would leave them."""
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in [*net.named_parameters(), *net.named_buffers()]:
            if value.is_floating_point():
                drawn = torch.randn(value.shape, generator=random, dtype=value.dtype)
                value.copy_(drawn.abs() + 0.3 if "running_var" in name else 0.5 * drawn)
    return net.eval()


def _layer(inputs: int, outputs: int, kernel: tuple, stride: tuple, size: tuple, groups: int = 1) -> nn.Module:
    return nn.Sequential(*conv_norm(inputs, outputs, kernel, stride, size, groups), nn.ReLU())


LAYERS = {
    "plain": (6, 6, (3, 3), (1, 1), (7, 9)), "stride 2, even: padded on one side": (4, 6, (3, 3), (2, 2), (8, 8)),
    "stride 2, odd": (4, 6, (3, 3), (2, 2), (7, 5)), "depthwise": (6, 6, (3, 3), (1, 1), (5, 8), 6),
    "depthwise, stride 2": (6, 6, (5, 5), (2, 2), (9, 8), 6), "two groups": (4, 8, (3, 3), (1, 1), (6, 6), 2),
    "time series": (4, 4, (5, 1), (2, 1), (16, 1)), "even kernel": (1, 5, (10, 4), (2, 2), (49, 10)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_all_branches_fuse_to_one_convolution_exactly(name: str) -> None:
    inputs, size = LAYERS[name][0], LAYERS[name][4]
    plain = _layer(*LAYERS[name])
    net = upset(Branched(plain, torch.zeros(1, inputs, *size)))
    for dtype, limit in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        net, images = net.to(dtype), torch.randn(3, inputs, *size, dtype=dtype)
        with torch.no_grad():
            wanted, got = net(images), net.fused()(images)
        assert float((wanted - got).abs().max()) <= limit * max(1.0, float(wanted.abs().max()))
    assert [type(m) for m in net.fused().modules()] == [type(m) for m in plain.modules()]


@pytest.mark.parametrize("branch", ALL)
def test_each_branch_alone_fuses_exactly(branch: str) -> None:
    net = upset(Branched(_layer(4, 6, (3, 3), (2, 2), (8, 8)), torch.zeros(1, 4, 8, 8)).double())
    net.keep([branch], has_identity=False)
    images = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(net(images), net.fused()(images), rtol=0, atol=1e-10)


class _Mixed(nn.Module):
    """A user's: biases with and without batch norm, a 1x1 convolution, one that is called twice, an addition."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.point, self.twice = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1)
        self.own, self.bare = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 4, 3, 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        x = torch.relu(self.twice(self.twice(self.point(x)))) + x
        return self.bare(torch.relu(self.own(x))).mean((2, 3))


def test_a_users_network_keeps_its_form_and_its_answers() -> None:
    plain = upset(_Mixed())
    net, images = Branched(plain, torch.zeros(1, 3, 8, 8)).eval(), torch.randn(2, 3, 8, 8)
    assert net.pairs == {"stem": "norm", "own": ""}
    net.keep(PLAIN, has_identity=False)
    with torch.no_grad():
        assert torch.allclose(net(images), plain(images), atol=1e-5)        # its own weights are where it begins
        upset(net).keep(ALL)
        fused = net.fused()
        assert torch.allclose(net(images), fused(images), rtol=1e-5, atol=1e-4)
    assert fused.state_dict().keys() == plain.state_dict().keys()
    a, b = (graph_of(n, (8, 8), 3) for n in (plain, fused))
    assert [(op.kind, op.attrs) for op in a.ops] == [(op.kind, op.attrs) for op in b.ops]
    assert [t.shape for t in a.tensors] == [t.shape for t in b.tensors]


def test_a_network_without_such_a_convolution_is_refused() -> None:
    with pytest.raises(InputError, match="no k x k convolution"):
        Branched(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()), torch.zeros(1, 3, 4, 4))


def test_masks_keep_a_number_of_branches_in_the_whole_network() -> None:
    plain = nn.Sequential(*_layer(3, 8, (3, 3), (1, 1), (8, 8)), *_layer(8, 8, (3, 3), (1, 1), (8, 8)),
                          *_layer(8, 8, (3, 3), (2, 2), (8, 8), 8))
    net, random = Branched(plain, torch.zeros(1, 3, 8, 8)), torch.Generator().manual_seed(0)
    assert net.total == 18
    seen = set()
    for ratio in (0.0, 0.34, 0.34, 0.34, 1.0):
        net.draw(ratio, random)
        masks = net.masks()
        assert sum(bin(m).count("1") for m in masks.values()) == math.floor(ratio * 18)
        seen.add(tuple(masks.values()))
        net(torch.rand(2, 3, 8, 8))         # a layer that lost everything still runs
    assert len(seen) == 5
    next(iter(net.sets.values())).logits.data.fill_(9.0)
    net.draw(0.34)
    assert list(net.masks().values()) == [63, 0, 0]      # no quota per layer
    begun = Branched(plain, torch.zeros(1, 3, 8, 8), own=30.0)
    begun.draw(0.34, random)
    assert all(m & 1 for m in begun.masks().values()) and sum(m.bit_count() for m in begun.masks().values()) == 6


def test_factors_are_one_and_have_the_slope_of_the_sigmoid_for_what_is_kept() -> None:
    net = Branched(_layer(4, 4, (3, 3), (1, 1), (6, 6)), torch.zeros(1, 4, 6, 6)).eval()
    images, (s,) = torch.rand(2, 4, 6, 6), net.sets.values()
    s.logits.data.copy_(torch.tensor([2.0, 0.0, 1.0, -1.0, -2.0, 0.5]))
    net.draw(0.5, learns=True)
    out = net(images)
    out.sum().backward()
    assert (s.logits.grad != 0).tolist() == [True, False, True, False, False, True]
    soft = torch.sigmoid(s.logits.detach())
    positive = out.detach() > 0
    wanted = (s.branches["kxk"](F.pad(images, (1, 1, 1, 1))).detach() * positive).sum() * (soft * (1 - soft))[0]
    assert float(s.logits.grad[0]) == pytest.approx(float(wanted), rel=1e-4)
    net.draw(0.5)
    assert torch.equal(out, net(images))
    ran = []
    for name, branch in s.branches.items():
        branch.register_forward_hook(lambda *_, name=name: ran.append(name))
    net(images)
    assert ran == ["kxk", "1xk", "1x1-kxk"]
