# SPDX-License-Identifier: Apache-2.0
"""Binary gates: their gradients against finite differences and enumeration, and the memory they take."""
from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mcunas.space import sampling
from mcunas.space.choice import ChoiceBlock, Gate
from tests.saved_bytes import SavedBytes

SLOTS, WIDTH = 2, 6


class Zero(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0 * x


@pytest.fixture(autouse=True)
def _doubles():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def toy(seed: int = 0, spread: float = 0.0) -> tuple[list[ChoiceBlock], Callable[[list[Gate]], torch.Tensor]]:
    """Two slots of three options, one of them a skip and one a zero; and the loss of a list of gates."""
    torch.manual_seed(seed)
    slots = [ChoiceBlock({"layer": nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh()), "skip": nn.Identity(), "zero": Zero()})
             for _ in range(SLOTS)]
    images, wanted = torch.randn(32, WIDTH), torch.randn(32, WIDTH)
    for slot in slots:
        slot.alpha.data = spread * torch.randn(3)

    def loss(gates: list[Gate]) -> torch.Tensor:
        x = images
        for slot, gate in zip(slots, gates):
            x = slot(x, gate)
        return F.mse_loss(x, wanted)

    return slots, loss


@pytest.mark.parametrize("path", [(0, 0), (1, 0), (0, 2)])
def test_gate_gradients_equal_finite_differences(path):
    slots, loss = toy()
    one_hot = [F.one_hot(torch.tensor(i), 3).double().requires_grad_() for i in path]
    binary = [Gate((i, *(j for j in range(3) if j != i)), w, is_binary=True) for i, w in zip(path, one_hot)]
    found, step = torch.autograd.grad(loss(binary), one_hot), 1e-6
    for slot, option in itertools.product(range(SLOTS), range(3)):
        ends = []
        for sign in (1, -1):
            moved = [w.detach().clone() for w in one_hot]
            moved[slot][option] += sign * step
            ends.append(float(loss([Gate((0, 1, 2), w) for w in moved]).detach()))
        assert float(found[slot][option]) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-3, abs=1e-9)


def test_weights_on_the_path_get_their_gradient_and_others_none():
    slots, loss = toy()
    drawn = [sampling.binary(slots[0], torch.Generator()), sampling.binary(slots[1], torch.Generator())]
    forced = [Gate((0, 1, 2), drawn[0].weights, True), Gate((1, 0, 2), drawn[1].weights, True)]
    on, off = (slot.options["layer"][0].weight for slot in slots)
    expected = torch.autograd.grad(loss([sampling.fixed(slots[0], "layer"), sampling.fixed(slots[1], "skip")]), on)[0]
    loss(forced).backward()
    assert torch.allclose(on.grad, expected) and off.grad is None


@pytest.mark.parametrize("draw", [sampling.binary, sampling.binary_pair])
def test_the_mean_of_the_draws_points_where_the_expected_loss_falls(draw):
    """The gates' gradient is first-order: a good direction as long as no option dominates."""
    for seed in range(2):
        slots, loss = toy(seed, spread=0.3)
        alphas, random = [slot.alpha for slot in slots], torch.Generator().manual_seed(seed)
        with torch.no_grad():
            losses = [[loss([Gate((i,)), Gate((j,))]) for j in range(3)] for i in range(3)]
        first, second = (slot.probs() for slot in slots)
        expected = sum(first[i] * second[j] * losses[i][j] for i in range(3) for j in range(3))
        exact = torch.cat(torch.autograd.grad(expected, alphas))
        drawn = [torch.autograd.grad(loss([draw(slot, random) for slot in slots]), alphas) for _ in range(200)]
        assert float(F.cosine_similarity(sum(torch.cat(one) for one in drawn), exact, 0)) > 0.5


def test_a_pair_draws_its_active_option_as_often_as_the_pair_says():
    slots, _ = toy()
    slots[0].alpha.data = torch.tensor([1.0, 0.0, -30.0])
    random = torch.Generator().manual_seed(0)
    drawn = [sampling.binary_pair(slots[0], random) for _ in range(600)]
    assert sum(g.run[0] == 0 for g in drawn) / 600 == pytest.approx(torch.sigmoid(torch.tensor(1.0)).item(), abs=0.06)
    assert all(sorted(g.run) == [0, 1] and g.weights.detach().tolist() == [g.run[0] == 0, g.run[0] == 1, 0] for g in drawn)


def peak(count: int, draw: Callable[[ChoiceBlock], Gate]) -> int:
    """Peak saved bytes of one pass through three choices of `count` candidates."""
    torch.manual_seed(0)
    slots = [ChoiceBlock({str(i): nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
                          for i in range(count)}) for _ in range(3)]
    x = torch.randn(16, 8, 12, 12)
    with SavedBytes(p for slot in slots for p in slot.parameters()) as meter:
        for slot in slots:
            x = slot(x, draw(slot))
        x.square().mean().backward()
    assert meter.now_bytes < 0.01 * meter.peak_bytes and all(slot.alpha.grad.abs().sum() > 0 for slot in slots)
    return meter.peak_bytes


@pytest.mark.parametrize("draw", [sampling.binary, sampling.binary_pair])
def test_gated_memory_is_flat_in_the_number_of_candidates_and_a_mixture_grows(draw):
    random = torch.Generator().manual_seed(0)
    flat = [peak(count, lambda slot: draw(slot, random)) for count in (2, 4, 8)]
    assert max(flat) <= 1.05 * min(flat)
    assert peak(8, sampling.mixture) > 3 * peak(2, sampling.mixture) > 3 * flat[0]
