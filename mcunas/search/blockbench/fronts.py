# SPDX-License-Identifier: Apache-2.0
"""Fronts of accuracy over cost and what can be said about them: hypervolume in log-cost, and its interval by bootstrap.

A front is an envelope: the best accuracy of all networks that cost no more. Its hypervolume here is the mean of the
envelope, over the logarithm of the cost and above a floor, in the range in which all blocks have networks; in two
dimensions that is the exact hypervolume over the width of the range. The best of many is a biased figure: blocks are
compared with equally many networks, and intervals come from networks drawn again with replacement.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

DRAWS = 1000
LEVEL = 0.9         # of the intervals


@dataclass(frozen=True)
class Interval:
    value: float
    low: float
    high: float

    def to_json(self) -> list[float]:
        return [self.value, self.low, self.high]


def envelope(cost: np.ndarray, accuracy: np.ndarray) -> list[tuple[float, float]]:
    """The networks (cost, accuracy) that nothing cheaper or as cheap beats, by rising cost."""
    front: list[tuple[float, float]] = []
    for c, a in sorted(zip(cost.tolist(), accuracy.tolist()), key=lambda point: (point[0], -point[1])):
        if not front or a > front[-1][1]:
            front.append((c, a))
    return front


def hypervolume(cost: np.ndarray, accuracy: np.ndarray, costs: tuple[float, float], floor: float) -> float:
    """Mean over log-cost in the range `costs` of the envelope above `floor`; where nothing is so cheap it is 0."""
    low, high = np.log(costs)
    edges, best = [low], [0.0]
    for c, a in envelope(cost, accuracy):
        at = min(max(float(np.log(c)), low), high)
        edges.append(at)
        best.append(max(a - floor, 0.0))
    widths = np.diff([*edges, high])
    return float(widths @ np.array(best) / (high - low))


def shared_range(costs: Mapping[str, np.ndarray]) -> tuple[float, float] | None:
    """Where all have networks; None when they do not overlap."""
    low, high = max(c.min() for c in costs.values()), min(c.max() for c in costs.values())
    return (float(low), float(high)) if low < high else None


def hypervolumes(costs: Mapping[str, np.ndarray], accuracies: Mapping[str, np.ndarray], seed: int = 0,
                 draws: int = DRAWS) -> tuple[dict[str, Interval], dict[str, float]] | None:
    """(block -> hypervolume, block -> share of the draws in which it is the largest), or None without a shared range."""
    span = shared_range(costs)
    if span is None:
        return None
    floor = min(float(a.min()) for a in accuracies.values())
    random, drawn = np.random.default_rng(seed), {}
    for block, cost in costs.items():
        rows = random.integers(0, len(cost), (draws, len(cost)))
        drawn[block] = np.array([hypervolume(cost[r], accuracies[block][r], span, floor) for r in rows])
    first = np.argmax(np.array(list(drawn.values())), axis=0)
    wins = {block: float((first == i).mean()) for i, block in enumerate(drawn)}
    return {b: _interval(hypervolume(c, accuracies[b], span, floor), drawn[b]) for b, c in costs.items()}, wins


def cost_at(cost: np.ndarray, accuracy: np.ndarray, wanted: float) -> float:
    """Of the cheapest network that is at least so accurate; infinite without one."""
    return float(np.min(cost[accuracy >= wanted], initial=np.inf))


def cost_ratios(costs: Mapping[str, np.ndarray], accuracies: Mapping[str, np.ndarray], wanted: float, seed: int = 0,
                draws: int = DRAWS) -> dict[str, Interval]:
    """block -> its cost at the wanted accuracy over that of the block which is cheapest there."""
    random, drawn = np.random.default_rng(seed), {}
    for block, cost in costs.items():
        rows = random.integers(0, len(cost), (draws, len(cost)))
        drawn[block] = np.array([cost_at(cost[r], accuracies[block][r], wanted) for r in rows])
    least = np.min(np.array(list(drawn.values())), axis=0)
    values = {b: cost_at(c, accuracies[b], wanted) for b, c in costs.items()}
    with np.errstate(invalid="ignore"):
        return {b: _interval(v / min(values.values()), drawn[b] / least) for b, v in values.items()}


def _interval(value: float, drawn: np.ndarray) -> Interval:
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return Interval(value, value, value)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(value), float(low), float(high))
