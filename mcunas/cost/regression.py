# SPDX-License-Identifier: Apache-2.0
"""Prices from measurements: non-negative least squares on relative errors, with outliers weighed down.

Prices of work cannot be negative, and a layer of a thousand cycles matters as much as one of a million.
"""
from __future__ import annotations

import numpy as np

_ROUNDS, _REACH = 8, 2.0        # reweighting rounds; errors beyond this many median errors count less


def nonnegative(rows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """x >= 0 with the least |rows @ x - wanted|: the active-set method of Lawson and Hanson. rows (n, k), wanted (n,)."""
    scale = np.maximum(np.abs(rows).max(axis=0), 1e-30)
    a = rows / scale
    gram, target = a.T @ a, a.T @ wanted
    gram[np.diag_indices_from(gram)] += 1e-12 * np.trace(gram)
    x, free = np.zeros(len(target)), np.zeros(len(target), bool)
    for _ in range(10 * len(target)):
        slope = np.where(free, -np.inf, target - gram @ x)
        if slope.max(initial=-np.inf) <= 1e-10 * max(1.0, np.abs(target).max()):
            break
        free[slope.argmax()] = True
        while True:
            tried = np.zeros_like(x)
            tried[free] = np.linalg.solve(gram[np.ix_(free, free)], target[free])
            below = free & (tried <= 0)
            if not below.any():
                break
            step = (x[below] / np.maximum(x[below] - tried[below], 1e-300)).min()
            x = x + step * (tried - x)
            free &= x > 1e-14
            x[~free] = 0
        x = tried
    return x / scale


def relative_fit(features: np.ndarray, counts: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Non-negative prices (k,) for features (n, k) that predict counts (n,) with small relative errors; robust."""
    base = np.ones(len(counts)) if weights is None else weights
    robust = np.ones(len(counts))
    prices = np.zeros(features.shape[1])
    for _ in range(_ROUNDS):
        w = base * robust
        prices = nonnegative(features / counts[:, None] * w[:, None], w)
        error = np.abs(features @ prices / counts - 1)
        reach = _REACH * max(float(np.median(error)), 1e-6)
        robust = np.sqrt(np.minimum(1.0, reach / np.maximum(error, 1e-12)))
    return prices
