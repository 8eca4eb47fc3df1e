# SPDX-License-Identifier: Apache-2.0
"""Bits as options: int4 blocks have their price, noise stands for rounding, and one convolution serves all bits."""
from __future__ import annotations

import pytest
import torch
from torch import nn

from mcunas.board import Board
from mcunas.errors import InputError
from mcunas.space import sampling
from mcunas.space import space as spaces
from mcunas.space.bit_choice import BitNet
from mcunas.space.bit_conv import Plain, opened
from mcunas.space.bits import marks
from mcunas.space.blocks import Context, build
from mcunas.space.int4 import perturbed
from mcunas.space.lsq import Lsq
from mcunas.space.noise import Noise
from mcunas.space.price import Prices

BOARD = Board.load("mps2-an386")
SPACE = {"head": "pixels", "options": ["conv3x3", "conv3x3_w4", "ds3", "ds3_w4", "skip"],
         "stem": {"kernel": [3, 3], "channels": 8, "stride": [1, 1]}, "stages": [{"channels": 8, "stride": 1, "slots": 2}]}
X = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def space() -> spaces.Space:
    return spaces.load("space", SPACE, (8, 8, 1), 1)


def net_of(space: spaces.Space, way: object) -> BitNet:
    torch.manual_seed(1)
    return BitNet(space, None, way)


def conv_of(way: object) -> nn.Module:
    torch.manual_seed(2)
    return opened(nn.Sequential(nn.Conv2d(16, 16, 3, padding=1)), way)[0]


def test_an_option_with_int4_weights_is_marked_and_its_flash_is_half_of_its_weights(space: spaces.Space) -> None:
    assert marks(build("ds3_w4", Context((8, 8), 8, 8))) == {"depthwise.1": 4, "pointwise.1": 4}
    rows = Prices(space, BOARD, simulator=lambda *unused: (1000, 1000)).row("s0_0")
    saved = rows["conv3x3"]["flash_bytes"] - rows["conv3x3_w4"]["flash_bytes"]
    assert abs(saved - 8 * 8 * 9 // 2) <= 16
    with pytest.raises(InputError, match="bits of a Identity"):
        build("skip_w4", Context((8, 8), 8, 8))


def test_noise_has_the_variance_of_rounding() -> None:
    noise, weight = Noise(0), torch.randn(64, 16, 3, 3, generator=torch.Generator().manual_seed(0))
    step = weight.abs().amax((1, 2, 3), keepdim=True) / 7
    rounded = (weight / step).round() * step - weight
    drawn = step * noise.like(weight)
    assert float(drawn.var() / rounded.var()) == pytest.approx(1, abs=0.05)
    assert float(drawn.var() / (step**2).mean()) == pytest.approx(1 / 12, rel=0.05)
    conv = conv_of(noise)
    conv.shares = ((8, 0.0), (4, 1.0))
    seen = torch.stack([conv.way.weight(conv).detach() - conv.weight.detach() for _ in range(200)])
    steps = conv.weight.detach().abs().amax((1, 2, 3)) / 7
    torch.testing.assert_close(seen.var((0, 2, 3, 4)) * 12, steps**2, rtol=0.05, atol=0)


def test_the_inputs_noise_is_one_step_of_eight_bits_wide_in_any_memory_order() -> None:
    x = torch.relu(torch.randn(8, 16, 14, 14)).to(memory_format=torch.channels_last)
    conv = conv_of(Noise(3))
    off = conv.way.input(conv, x) - x
    assert float(off.abs().max()) <= float(x.max()) / 255 / 2 * 1.001
    assert float(off.var()) == pytest.approx((float(x.max()) / 255) ** 2 / 12, rel=0.05)
    odd = x[:, :, ::2]
    assert conv.way.like(odd).shape == odd.shape


def test_in_evaluation_the_weights_are_rounded_and_nothing_is_noisy() -> None:
    conv = conv_of(Noise(0)).eval()
    conv.shares = ((8, 0.2), (4, 0.8))
    x = torch.rand(2, 16, 5, 5)
    torch.testing.assert_close(conv(x), torch.conv2d(x, perturbed(conv.weight.detach(), False), conv.bias, padding=1))


def test_learned_steps_round_to_the_grid_and_have_the_slopes_of_lsq() -> None:
    conv = conv_of(Lsq())
    conv.shares = ((4, 1.0),)
    seen = conv.way.weight(conv)
    levels = seen.detach() / conv.weight_steps["4"].detach()
    torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
    assert levels.abs().max() <= 7
    seen.sum().backward()
    step, inside = conv.weight_steps["4"].detach(), (conv.weight.detach() / conv.weight_steps["4"].detach()).abs() <= 7
    assert torch.equal(conv.weight.grad, inside.float())
    off = torch.where(inside, levels - conv.weight.detach() / step, levels).sum((1, 2, 3), keepdim=True)
    torch.testing.assert_close(conv.weight_steps["4"].grad, off * (16 * 9 * 7) ** -0.5, rtol=1e-4, atol=1e-4)


def test_without_quantization_bits_are_alike_and_the_mixture_is_that_of_the_blocks(space: spaces.Space) -> None:
    net = net_of(space, Plain()).eval()
    ways = [net.path({"s0_0": o, "s0_1": "ds3"}) for o in ("conv3x3", "conv3x3_w4")]
    torch.testing.assert_close(net(X, ways[0]), net(X, ways[1]))
    block, x = net.slots["s0_0"], torch.rand(2, 8, 8, 8)
    with torch.no_grad():
        block.alpha.copy_(torch.randn(5))
        p = block.probs()
        wanted = ((p[0] + p[1]) * block.options["conv3x3"](x) + (p[2] + p[3]) * block.options["ds3"](x) + p[4] * x)
        torch.testing.assert_close(block(x, sampling.mixture(block)), wanted)
    gates = net.gates(sampling.mixture)
    net(X, gates)
    assert net.option_forwards == len(X) * (2 + 2 + 4)      # two paths of two blocks; two blocks each, with all their bits


def test_alpha_hears_of_the_noise_of_its_bits_and_options_share_their_weights(space: spaces.Space) -> None:
    net = net_of(space, Noise(0))
    shared = {id(p) for p in net.slots["s0_0"].options["ds3"].parameters()}
    assert shared == {id(p) for p in net.slots["s0_0"].options["ds3_w4"].parameters()}
    net(X, net.gates(sampling.mixture)).square().sum().backward()
    slope = net.slots["s0_0"].alpha.grad
    assert (slope != 0).all() and float(slope.sum()) == pytest.approx(0, abs=1e-3)
    assert len({id(p) for p in net.weights()}) == len(net.weights())
    gone = net.kill("s0_0", "ds3_w4") or net.slots["s0_0"].kill("ds3")
    assert {id(p) for p in gone} == shared


def test_what_is_extracted_has_the_bits_of_its_options(space: spaces.Space) -> None:
    net = net_of(space, Noise(0))
    net(X, net.gates(sampling.mixture))
    found = net.extract({"s0_0": "conv3x3_w4", "s0_1": "conv3x3"}).eval()
    assert [found.slots[s][1].shares for s in ("s0_0", "s0_1")] == [[(4, 1.0)], [(8, 1.0)]]
