# SPDX-License-Identifier: Apache-2.0
"""ChoiceBlock: all ways to draw a gate agree on what is certain, gradients are right, a killed option is gone."""
from __future__ import annotations

import gc
import weakref

import pytest
import torch

from mcunas.space import sampling
from mcunas.space.blocks import Context, build
from mcunas.space.choice import ChoiceBlock
from tests.bench.width_choice import WidthChoice

NAMES = ("conv3x3", "ds3", "mb3_e2", "skip")
WAYS = {"mixture": lambda b, r: sampling.mixture(b), "gumbel": lambda b, r: sampling.gumbel(b, 1.0, r),
        "hard": lambda b, r: sampling.gumbel(b, 1.0, r, hard=True), "gumbel_single": sampling.gumbel_single,
        "binary": sampling.binary, "single": sampling.single,
        "fixed": lambda b, r: sampling.fixed(b, "ds3")}


@pytest.fixture
def block() -> ChoiceBlock:
    torch.manual_seed(0)
    return ChoiceBlock({n: build(n, Context((6, 6), 4, 4)) for n in NAMES}).double().eval()


X = torch.rand(3, 4, 6, 6, generator=torch.Generator().manual_seed(1)).double()


@pytest.mark.parametrize("way", WAYS)
def test_all_ways_agree_when_one_option_is_certain(way: str, block: ChoiceBlock) -> None:
    with torch.no_grad():
        block.alpha.copy_(torch.tensor([-60.0, 60.0, -60.0, -60.0]))
    random = torch.Generator().manual_seed(2)
    torch.testing.assert_close(block(X, WAYS[way](block, random)), block.options["ds3"](X), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("way", ["mixture", "gumbel", "hard"])
def test_weights_are_probabilities_over_what_runs(way: str, block: ChoiceBlock) -> None:
    gate = WAYS[way](block, torch.Generator().manual_seed(3))
    assert float(gate.weights.detach().sum()) == pytest.approx(1) and len(gate.weights) == len(NAMES)
    assert {i for i, w in enumerate(gate.weights.tolist()) if w > 0} <= set(gate.run)


def test_one_noise_serves_the_whole_batch(block: ChoiceBlock) -> None:
    """Not one per image: two equal images get the same answer."""
    gate = sampling.gumbel(block, 1.0, torch.Generator().manual_seed(4))
    y = block(X[:1].repeat(2, 1, 1, 1), gate)
    assert gate.weights.shape == (len(NAMES),) and torch.equal(y[0], y[1])


def test_a_binary_gate_has_the_gradient_of_the_mixture_at_its_one_hot(block: ChoiceBlock) -> None:
    wanted = torch.rand(X.shape, generator=torch.Generator().manual_seed(5)).double()
    gate = sampling.binary(block, torch.Generator().manual_seed(6))
    weights = gate.weights.detach().clone().requires_grad_()
    ((block(X, type(gate)(gate.run, weights, True)) - wanted) ** 2).sum().backward()
    with torch.no_grad():
        outputs = torch.stack([block.options[n](X) for n in NAMES])
    for i in range(len(NAMES)):
        ends = []
        for step in (1e-4, -1e-4):
            moved = gate.weights.detach().clone()
            moved[i] += step
            ends.append(float(((torch.tensordot(moved, outputs, 1) - wanted) ** 2).sum()))
        assert float(weights.grad[i]) == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-3)


def test_a_binary_gate_moves_alpha_by_the_softmax_jacobian(block: ChoiceBlock) -> None:
    with torch.no_grad():
        block.alpha.copy_(torch.tensor([0.3, -0.2, 0.5, 0.0]))
    gate = sampling.binary(block, torch.Generator().manual_seed(7))
    gate.weights.retain_grad()
    block(X, gate).square().sum().backward()
    p, g = block.probs().detach(), gate.weights.grad
    torch.testing.assert_close(block.alpha.grad, p * (g - (p * g).sum()))


def test_killing_renormalises_frees_and_leaves_the_last(block: ChoiceBlock) -> None:
    with torch.no_grad():
        block.alpha.copy_(torch.tensor([0.0, 1.0, 2.0, -60.0]))
    before, output = block.probs().detach(), block(X, sampling.mixture(block)).detach()
    weight = weakref.ref(block.options["conv3x3"][1].weight)
    block.kill("skip")                      # of no weight: nothing changes
    torch.testing.assert_close(block(X, sampling.mixture(block)), output)
    block.kill("conv3x3")
    gc.collect()
    assert weight() is None and block.alive == (1, 2)
    p = block.probs().detach()
    assert p[0] == p[3] == 0 and float(p[1] / p[2]) == pytest.approx(float(before[1] / before[2]))
    for way in WAYS:
        block(X, WAYS[way](block, torch.Generator().manual_seed(8)))
    block.kill("mb3_e2")
    for gone in ("mb3_e2", "ds3"):
        with pytest.raises(ValueError, match="last option, or none"):
            block.kill(gone)


def test_a_certain_width_is_a_prefix() -> None:
    width = WidthChoice((4, 8, 12))
    assert width.mask(torch.tensor([0.0, 1.0, 0.0])).tolist() == [1.0] * 8 + [0.0] * 4
    assert width.expected(width.probs()).item() == pytest.approx(8.0)
    with pytest.raises(ValueError, match="rising order"):
        WidthChoice((8, 4))
