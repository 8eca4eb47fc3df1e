# SPDX-License-Identifier: Apache-2.0
"""A trust region over genes: how far from the best network the next ones may be, and when that changes.

The rules are TuRBO's (Eriksson et al., arXiv 1910.01739): some successes in a row double its length, some failures halve
it, and one that has become too short begins anew elsewhere. Distance here is over genes, since they are discrete: of an
ordered gene the steps over the most steps, of another one 0 or 1, each over the gene's weight, in the mean of all genes.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

FIRST, MOST = 0.8, 1.6
SUCCESSES = 3
BETTER = 1e-3               # of the best value, what counts as a success


@dataclass(frozen=True)
class Region:
    """length: of a side, so that half of it is the most distance from the middle. best: the largest value since it began.
    started: the generation in which it began."""

    length: float = FIRST
    successes: int = 0
    failures: int = 0
    best: float = -math.inf
    started: int = 0

    def after(self, values: Sequence[float], genes: int, batch: int) -> Region:
        """After a generation of values, which are to be large; empty where nothing was evaluated, which is a failure."""
        best = max(values, default=-math.inf)
        if best > self.best + BETTER * abs(self.best) or math.isinf(self.best):
            moved = replace(self, best=max(best, self.best), successes=self.successes + 1, failures=0)
        else:
            moved = replace(self, best=max(best, self.best), successes=0, failures=self.failures + 1)
        if moved.successes == SUCCESSES:
            return replace(moved, length=min(2 * moved.length, MOST), successes=0)
        if moved.failures >= patience(genes, batch):
            return replace(moved, length=moved.length / 2, failures=0)
        return moved

    @property
    def reach(self) -> float:
        """The most distance from the best network."""
        return self.length / 2

    def is_spent(self, genes: int) -> bool:
        """Whether it does not reach as far as one changed gene."""
        return self.reach < 1 / genes


def patience(genes: int, batch: int) -> int:
    """Failures in a row that halve the region: a network per gene, and at least four."""
    return math.ceil(max(4, genes) / batch)


def distances(points: np.ndarray, centre: np.ndarray, is_ordered: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(N,) of points (N, G) from a centre (G,): ordered genes in [0, 1], others by index. weights (G,): 1 on average; a gene
    that the model finds unimportant has a large one and may change more."""
    apart = np.where(is_ordered, np.abs(points - centre), points != centre)
    return (apart / weights).mean(1)
