# SPDX-License-Identifier: Apache-2.0
"""RARTS on a model that can be solved by hand: L_t = (w - c alpha)^2, L_v = alpha w - d alpha.

The bilevel optimum is alpha = d / 2c. Setting the relaxed Lagrangian's slopes to zero gives
alpha = d / (2c - 1/(2 lam) - 1/beta); first-order DARTS rests where w = d, at alpha = d / c.
"""
from __future__ import annotations

import pytest
import torch

from mcunas.search.relaxed import Coupling, FirstOrder, Relaxed


class Model:
    """w, its twin and alpha as scalars in float64, started anywhere."""

    def __init__(self, seed: int, c: float = 1.0, d: float = 2.0) -> None:
        torch.manual_seed(seed)
        self.c, self.d = c, d
        self.w, self.y, self.alpha = (torch.nn.Parameter(4 * torch.randn(1, dtype=torch.float64)) for _ in range(3))

    def train(self) -> torch.Tensor:
        return (self.w - self.c * self.alpha).square().sum()

    def validation(self, weights: torch.Tensor) -> torch.Tensor:
        return (self.alpha * weights - self.d * self.alpha).sum()

    def relaxed(self, lam: float, beta: float, steps: int, is_fresh: bool = True) -> Relaxed:
        rates = 0.9 / (2 * lam + beta), 0.9 / (beta + lam), 0.9 / (2 * lam * self.c**2 + 1)
        rates = rates if is_fresh else [rate / 4 for rate in rates]
        optimizers = [torch.optim.SGD([p], lr=r) for p, r in zip((self.w, self.y, self.alpha), rates)]
        search = Relaxed([self.w], [self.y], [self.alpha], Coupling(lam, beta), optimizers, is_fresh)
        for _ in range(steps):
            search.step(self.train, lambda: self.validation(self.y))
        return search


def closed_form(c: float, d: float, lam: float, beta: float) -> float:
    return d / (2 * c - 1 / (2 * lam) - 1 / beta)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("is_fresh", [True, False])
def test_alpha_converges_to_the_closed_form(seed, is_fresh):
    c, d = (0.5 + 1.5 * torch.rand(2, generator=torch.Generator().manual_seed(seed)) * torch.tensor([1.0, 2.0])).tolist()
    model = Model(seed, c, d)
    model.relaxed(10, 10, 300 if is_fresh else 1600, is_fresh)
    assert float(model.alpha.detach()) == pytest.approx(closed_form(c, d, 10, 10), rel=0.02)


def test_stronger_coupling_comes_closer_to_the_bilevel_optimum():
    errors = []
    for strength, steps in ((3, 100), (10, 200), (30, 500), (100, 2500)):
        model = Model(7)
        model.relaxed(strength, strength, steps)
        errors.append(abs(float(model.alpha.detach()) - 1))
    assert errors == sorted(errors, reverse=True) and errors[1] < 0.1 and errors[3] < 0.01


def test_first_order_darts_rests_at_its_wrong_point():
    model = Model(3)
    optimizers = [torch.optim.SGD([model.w], lr=0.1), torch.optim.SGD([model.alpha], lr=0.1)]
    search = FirstOrder([model.w], [model.alpha], optimizers)
    for _ in range(400):
        search.step(model.train, lambda: model.validation(model.w))
    assert [float(p.detach()) for p in (model.w, model.alpha)] == pytest.approx([2, 2], abs=1e-3)
    assert search.passes == 800


@pytest.mark.parametrize(("is_fresh", "passes"), [(True, 4), (False, 2)])
def test_passes_are_counted_and_nothing_is_differentiated_twice(monkeypatch, is_fresh, passes):
    asked, real = [], torch.autograd.grad

    def grad(*arguments, **named):
        asked.append(named.get("create_graph", False) or named.get("retain_graph", False))
        return real(*arguments, **named)

    monkeypatch.setattr(torch.autograd, "grad", grad)
    model, ran = Model(0), []
    train = model.train
    model.train = lambda: ran.append(1) or train()
    search = model.relaxed(10, 10, 3, is_fresh)
    assert search.passes == 3 * passes and len(asked) == 3 * passes and not any(asked)
    assert len(ran) == 3 * passes // 2


def test_a_cost_moves_alpha_only():
    model, other = Model(1), Model(1)
    for one, cost in ((model, None), (other, lambda: 5 * other.alpha.sum())):
        optimizers = [torch.optim.SGD([p], lr=0.01) for p in (one.w, one.y, one.alpha)]
        search = Relaxed([one.w], [one.y], [one.alpha], Coupling(1, 1), optimizers)
        search.step(one.train, lambda one=one: one.validation(one.y), cost)
    assert torch.equal(model.w, other.w) and torch.equal(model.y, other.y)
    assert float((model.alpha - other.alpha).detach()) == pytest.approx(0.05)
