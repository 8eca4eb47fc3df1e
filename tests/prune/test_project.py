# SPDX-License-Identifier: Apache-2.0
"""The projection's guarantee, and that constraints plus projection find nearly the best allocation."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mcunas.budget import Budget
from mcunas.errors import DoesNotFit
from mcunas.prune.constraints import Constraints
from mcunas.prune.project import STEPS, drop, fill, project
from mcunas.prune.resources import Usage

# Six coupled widths of a small residual net at 16x16, 8x8, 4x4: bytes live at each of 14 steps, bytes of weights, MACs.
_AREA = np.array([256, 256, 64, 64, 16, 16])
_FULL = (32, 32, 64, 64, 128, 128)
_LIVE = [(0,), (0, 1), (0, 1, 0), (0, 0), (0, 2), (0, 2, 3), (2, 3, 3), (3, 3), (3, 4), (3, 4, 5), (4, 5, 5), (5, 5),
         (5,), (5,)]
_LAYERS = [(None, 0, 9, 256), (0, 1, 9, 256), (1, 0, 9, 256), (0, 2, 9, 64), (2, 3, 9, 64), (0, 3, 1, 64), (3, 4, 9, 16),
           (4, 5, 9, 16), (3, 5, 1, 16), (5, None, 1, 1)]
_BUDGET = np.array([12_000.0, 120_000.0, 4_800_000.0])


def _costs(widths, stack) -> tuple:
    live = stack([sum(_AREA[g] * widths[g] for g in step) for step in _LIVE])
    sizes = [(k * (1 if a is None else widths[a]) * (10 if b is None else widths[b]), area) for a, b, k, area in _LAYERS]
    return live, sum(s for s, _ in sizes), sum(s * area for s, area in sizes)


def _ratios(widths) -> np.ndarray:
    live, flash, macs = _costs(widths, np.array)
    return np.array([live.max() / _BUDGET[0], flash / _BUDGET[1], macs / _BUDGET[2], *(live / _BUDGET[0])])


def _value(weight: np.ndarray) -> list[np.ndarray]:
    """Worth of each further channel under a concave utility."""
    return [w * np.diff(np.sqrt(np.arange(f + 1) / f)) for w, f in zip(weight, _FULL)]


@pytest.mark.parametrize("seed", range(4))
def test_projection_holds_every_budget_and_leaves_no_feasible_step(seed: int) -> None:
    """Gates G1 and G2: usage <= 1 of every budget, and at least two budgets used within 5 %."""
    random = np.random.default_rng(seed)
    start = [int(random.integers(2, f + 1)) for f in _FULL]
    widths = project(start, _value(random.uniform(0.5, 2, 6)), _ratios, _ratios, [2] * 6, _FULL)
    assert (_ratios(widths) <= 1).all()
    assert np.sort(_ratios(widths)[:3])[-2] >= 0.95
    for g in range(6):
        for step in STEPS:
            if widths[g] + step <= _FULL[g]:
                assert (_ratios([w + step * (i == g) for i, w in enumerate(widths)]) > 1).any()


def test_projection_gives_up_in_words_when_nothing_fits() -> None:
    with pytest.raises(DoesNotFit, match="least widths"):
        project(_FULL, _value(np.ones(6)), lambda w: _ratios(w) * 100, lambda w: _ratios(w) * 100, [4] * 6, _FULL)


@pytest.mark.parametrize("seed", range(1))
def test_annealed_constraints_then_projection_reach_the_optimum_of_a_concave_utility(seed: int) -> None:
    """Gate G4: at least 99.5 % of the optimum, which a long coordinate search over real widths approximates from above."""
    random = np.random.default_rng(seed)
    weight = random.uniform(0.5, 2, 6)

    def utility(widths) -> float:
        return float(sum(w * np.sqrt(x / f) for w, x, f in zip(weight, widths, _FULL)))

    full = torch.tensor(_FULL, dtype=torch.float32)
    budget = Budget(ram=int(_BUDGET[0]), flash=int(_BUDGET[1]), latency=float(_BUDGET[2]))
    live, flash, macs = _costs(_FULL, np.array)
    constraints = Constraints(budget, Usage(int(live.max()), int(flash), float(macs), tuple(int(b) for b in live)))
    theta = torch.full((6,), 3.0, requires_grad=True)
    optimizer = torch.optim.Adam([theta], lr=0.03)
    factors = torch.tensor(weight, dtype=torch.float32)
    for step in range(800):
        widths = 2 + (full - 2) * torch.sigmoid(theta)
        found = _costs(list(widths.unbind()), torch.stack)
        violation = constraints.violation(found, min(step / 480, 1.0))
        loss = -(factors * torch.sqrt(widths / full)).sum() + constraints.loss(violation)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        constraints.step(violation)
    real = (2 + (full - 2) * torch.sigmoid(theta)).tolist()
    widths = project([round(w) for w in real], _value(weight), _ratios, _ratios, [2] * 6, _FULL)
    assert (_ratios(widths) <= 1).all()
    assert utility(widths) >= 0.995 * _optimum(weight)


def _optimum(weight: np.ndarray) -> float:
    scipy = pytest.importorskip("scipy.optimize")
    value = lambda x: -float(sum(w * np.sqrt(v / f) for w, v, f in zip(weight, x, _FULL)))  # noqa: E731
    best = min((scipy.minimize(value, np.full(6, start), method="SLSQP", bounds=[(2, f) for f in _FULL],
                               constraints={"type": "ineq", "fun": lambda x: 1 - _ratios(x)[1:]},
                               options={"maxiter": 300}) for start in (3.0, 4.0, 6.0)),
               key=lambda r: r.fun if r.success else np.inf)
    return -best.fun


@pytest.mark.parametrize("seed", range(4))
def test_the_integer_program_is_worth_no_less_than_drop_and_fill(seed: int) -> None:
    random = np.random.default_rng(seed)
    start = [int(random.integers(2, f + 1)) for f in _FULL]
    value = [np.sort(random.exponential(w, f))[::-1] for w, f in zip(random.uniform(0.5, 2, 6), _FULL)]
    greedy = fill(drop(tuple(start), value, _ratios, [2] * 6), value, _ratios, _ratios, _FULL)
    widths = project(start, value, _ratios, _ratios, [2] * 6, _FULL)
    assert (_ratios(widths) <= 1).all()
    assert _worth(widths, value) > _worth(greedy, value)


def _worth(widths, value) -> float:
    return sum(v[:w].sum() for v, w in zip(value, widths))
