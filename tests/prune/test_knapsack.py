# SPDX-License-Identifier: Apache-2.0
"""The knapsack is the best choice that there is, and as a step of the projection it never loses worth."""
from __future__ import annotations

import itertools

import numpy as np

from mcunas.prune.knapsack import solve


def _instance(random: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    groups, resources = int(random.integers(1, 7)), int(random.integers(1, 4))
    sizes = random.integers(1, 7, groups)
    value = [np.sort(random.uniform(0, 1, n)) for n in sizes]
    cost = [np.sort(random.uniform(0, 1, (n, resources)), axis=0) for n in sizes]
    return value, cost, random.uniform(0.1, 0.8, resources) * groups


def _brute_force(value: list[np.ndarray], cost: list[np.ndarray], limit: np.ndarray) -> float | None:
    worth = [sum(v[i] for v, i in zip(value, chosen)) for chosen in itertools.product(*(range(len(v)) for v in value))
             if (sum(c[i] for c, i in zip(cost, chosen)) <= limit).all()]
    return max(worth, default=None)


def test_the_knapsack_equals_brute_force_on_200_random_instances() -> None:
    random, infeasible = np.random.default_rng(0), 0
    for _ in range(200):
        value, cost, limit = _instance(random)
        best, chosen = _brute_force(value, cost, limit), solve(value, cost, limit)
        if best is None:
            assert chosen is None
            infeasible += 1
            continue
        assert (sum(c[i] for c, i in zip(cost, chosen)) <= limit + 1e-9).all()
        assert abs(sum(v[i] for v, i in zip(value, chosen)) - best) < 1e-9
    assert 0 < infeasible < 100
