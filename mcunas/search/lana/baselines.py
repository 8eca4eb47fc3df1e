# SPDX-License-Identifier: Apache-2.0
"""What the program must beat, from the same candidates: choices by lot, by greed, and scores that mean nothing."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcunas.budget import Budget
from mcunas.errors import DoesNotFit
from mcunas.search.lana.prices import ChainPrices
from mcunas.search.lana.program import Chosen

FILLED = 0.85       # least use of the budget by a random choice: one that leaves it unused would be no rival
DRAWS = 20_000      # by the tables; exact prices are asked of those that seem to fit


def by_lot(prices: ChainPrices, budget: Budget, count: int, random: np.random.Generator) -> list[Chosen]:
    """Up to `count` different choices, uniform among those that use FILLED to 1 of the budget in some resource.

    Raises DoesNotFit when none is found.
    """
    found: list[Chosen] = []
    for _ in range(DRAWS):
        if len(found) == count:
            return found
        chosen = tuple(int(random.integers(len(pool))) for pool in prices.pools)
        if chosen not in found and _tabled(prices, chosen, budget) and prices.fits(chosen, budget):
            found.append(chosen)
    if not found:
        raise DoesNotFit(f"no choice by lot of {DRAWS} used {FILLED:g} to 1 of the budget", where=prices.board.key)
    return found


def _tabled(prices: ChainPrices, chosen: Chosen, budget: Budget) -> bool:
    live, flash_bytes, cycles = prices.table.exact(chosen)
    shares = [live.max() / budget.ram_bytes, flash_bytes / budget.flash_bytes]
    if budget.latency_us:
        shares.append(cycles / prices.board.clock_hz * 1e6 / budget.latency_us)
    return FILLED <= max(shares) <= 1


def by_greed(prices: ChainPrices, budget: Budget, scores: Sequence[np.ndarray]) -> Chosen:
    """From the teacher, the exchange that loses least per excess that it takes away by the tables, until the exact price
    fits.

    Raises DoesNotFit when no exchange helps any more.
    """
    chosen: Chosen = (0,) * len(prices.pools)
    while not prices.fits(chosen, budget):
        beyond = _beyond(prices, chosen)
        excess, best, rate = _excess(prices, chosen, budget, beyond), None, np.inf
        for at, pool in enumerate(prices.pools):
            for k in range(len(pool)):
                trial = (*chosen[:at], k, *chosen[at + 1:])
                gain = excess - _excess(prices, trial, budget, beyond)
                lost = scores[at][k] - scores[at][chosen[at]]
                if gain > 0 and lost / gain < rate:
                    best, rate = trial, lost / gain
        if best is None:
            raise DoesNotFit("greedy exchanges end above the budget", where=prices.board.key)
        chosen = best
    return chosen


def _beyond(prices: ChainPrices, chosen: Chosen) -> tuple[float, float, float]:
    """(RAM, flash, cycles) of the exact price, less the tables'."""
    cost, (live, flash_bytes, cycles) = prices.exact(chosen), prices.table.exact(chosen)
    return cost.ram_bytes - float(live.max()), cost.flash_bytes - flash_bytes, cost.cycles - cycles


def _excess(prices: ChainPrices, chosen: Chosen, budget: Budget, beyond: tuple[float, float, float]) -> float:
    """Sum over resources of what exceeds the budget, relative to it, by the tables and what is beyond them."""
    live, flash_bytes, cycles = prices.table.exact(chosen)
    shares = [(live.max() + beyond[0]) / budget.ram_bytes, (flash_bytes + beyond[1]) / budget.flash_bytes]
    if budget.latency_us:
        shares.append((cycles + beyond[2]) / prices.board.clock_hz * 1e6 / budget.latency_us)
    return sum(max(share - 1, 0.0) for share in shares)


def shuffled(scores: Sequence[np.ndarray], random: np.random.Generator) -> list[np.ndarray]:
    """Each cell's scores among its candidates by lot."""
    return [random.permutation(s) for s in scores]
