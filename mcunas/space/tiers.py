# SPDX-License-Identifier: Apache-2.0
"""Which options and which slots may go while a differentiable search runs: tiers (ii) and (iii) of PruNet (Kierat et al.,
arXiv 2209.11785).

From the paper: options of a stochastic layer, and whole layers, are pruned during the search. Our own design
(nas-methods.md, paper 1): probabilities averaged over steps against a threshold that rises to 1/2, so that one option and
one depth are left at the end by construction; and one distribution of the depth per stage, pruned at its ends.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence

DECAY = 0.9         # of the average over architecture steps
FIRST = 0.2         # of an equal share: the threshold at the start
LAST = 0.5


def threshold(progress: float, count: int) -> float:
    """Least average probability at `progress` 0..1 of the search, for `count` options at its start."""
    first = FIRST / count
    return first + min(max(progress, 0.0), 1.0) * (LAST - first)


def rare(averages: Mapping[str, float], limit: float) -> list[str]:
    """Options to take away, the least likely first: one at a time, each time renormalised over those that stay, while the
    least is below the limit. Never the likeliest. So options that are all alike do not go at once."""
    order = sorted(averages, key=lambda o: averages[o])
    left, gone = sum(averages.values()), []
    for option in order[:-1]:
        if averages[option] / left > limit:
            break
        gone.append(option)
        left -= averages[option]
    return gone


def ends(averages: Sequence[float], limit: float) -> tuple[int, int]:
    """(least, most) depths that stay of depths 0..m: the less likely end goes, renormalised as above, while it is below the
    limit; never the likeliest depth."""
    best = max(range(len(averages)), key=lambda d: averages[d])
    least, most = 0, len(averages) - 1
    while least < most:
        left = sum(averages[least:most + 1])
        end = min((d for d in (least, most) if d != best), key=lambda d: averages[d])
        if averages[end] / left > limit:
            break
        least, most = (least + 1, most) if end == least else (least, most - 1)
    return least, most


def depths(skips: Sequence[float]) -> list[float]:
    """Probability of each depth 0..m of m slots in a row, by the probability that a slot ends the stage, slot by slot."""
    runs, found = 1.0, []
    for p in skips:
        found.append(runs * p)
        runs *= 1 - p
    return [*found, runs]


class Averages:
    """Exponential averages of distributions by name, renormalised over what is still there."""

    def __init__(self, kept: Mapping[str, Mapping[str, float]] | None = None) -> None:
        self.of = {name: dict(p) for name, p in (kept or {}).items()}

    def observe(self, name: str, probabilities: Mapping[str, float]) -> dict[str, float]:
        """Take a step's probabilities in; returns the averages. What is not among them is forgotten."""
        before = self.of.get(name, {})
        left = sum(before.get(o, 0.0) for o in probabilities)
        now = {o: DECAY * before[o] / left + (1 - DECAY) * p if left > 0 and o in before else p
               for o, p in probabilities.items()}
        total = sum(now.values())
        self.of[name] = {o: p / total for o, p in now.items()}
        return self.of[name]
