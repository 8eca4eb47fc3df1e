# SPDX-License-Identifier: Apache-2.0
"""From scores to networks that fit: the integer program, the exact check of what it finds, and cuts where that says no.

What exceeds the budget when the compiler plans the whole is never returned. A choice that failed is forbidden: by the
options of two neighbouring cells, where those exceed the RAM in the lightest chain too, else as a whole.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcunas.budget import Budget
from mcunas.errors import DoesNotFit
from mcunas.search.lana.prices import ChainPrices
from mcunas.search.lana.program import Chosen, Program, solve
from mcunas.space.price import SUSPECT, beyond, usage

TRIES = 60          # exact prices before a solution is given up
REFINED = 4         # exact prices after one that fits, to use what the correction left


@dataclass(frozen=True)
class Found:
    """Choices, best score first; each fits exactly. solved: integer programs; refused: choices that the exact price
    refused."""

    choices: tuple[Chosen, ...]
    solved: int
    refused: int


class Chooser:
    """Solves for one budget. scores: per cell, of each of its candidates."""

    def __init__(self, prices: ChainPrices, budget: Budget, is_exact: bool = True) -> None:
        """is_exact: off for a budget on the way, which only the tables need to hold."""
        self.prices, self.budget, self.is_exact = prices, budget, is_exact
        self.gone = prices.deleted(budget)
        self.correction = prices.correction(prices.lightest("cycles"))
        self.cuts: tuple[frozenset[tuple[int, int]], ...] = ()
        self.least = self.correction
        self.solved = self.refused = 0

    def program(self, scores: Sequence[np.ndarray]) -> Program:
        kept = tuple(np.where(gone, np.inf, s) for s, gone in zip(scores, self.gone, strict=True))
        return Program(kept, self.prices.rows(self.budget, self.correction), self.cuts)

    def best(self, scores: Sequence[np.ndarray], overlaps: tuple[tuple[Chosen, int], ...] = ()) -> Chosen | None:
        """The choice of the lowest score that fits exactly, or None when there is none to be found."""
        found, left, is_open = None, TRIES, False
        while left > 0:
            program = self.program(scores)
            chosen = solve(Program(program.scores, program.rows, program.forbidden, overlaps))
            self.solved += 1
            if chosen is None and found is None and not is_open and self.correction != self.least:
                self.correction, is_open = self.least, True         # a correction may say no where a choice still fits
                continue
            if chosen is None or chosen == found or not self.is_exact:
                return chosen if chosen is not None else found
            left -= 1
            seen = self.prices.correction(chosen)
            self.least = tuple(map(min, self.least, seen))  # type: ignore[assignment]
            self.correction = self.least if is_open else seen
            if not self.prices.fits(chosen, self.budget):
                self.refused += 1
                self.cuts = (*self.cuts, self._cause(chosen))
            elif found is None or program.value(chosen) < program.value(found):
                found, left = chosen, min(left, REFINED)
            else:
                return found
        return found

    def diverse(self, scores: Sequence[np.ndarray], count: int, overlap: float) -> Found:
        """Up to `count` choices, any two of which agree in at most this share of the cells that have a choice.

        Raises DoesNotFit when not even one fits.
        """
        open_cells = sum(len(s) > 1 for s in scores)
        fixed = len(scores) - open_cells
        overlaps: tuple[tuple[Chosen, int], ...] = ()
        while len(overlaps) < count:
            chosen = self.best(scores, overlaps)
            if chosen is None:
                break
            overlaps = (*overlaps, (chosen, fixed + min(int(overlap * open_cells), open_cells - 1)))
        if not overlaps:
            raise DoesNotFit(self._least(), where=self.prices.board.key,
                             fix="raise the budget or start from a smaller network")
        program = self.program(scores)
        return Found(tuple(sorted((c for c, _ in overlaps), key=program.value)), self.solved, self.refused)

    def _cause(self, chosen: Chosen) -> frozenset[tuple[int, int]]:
        """The options that together exceed the budget."""
        cost, light = self.prices.exact(chosen), self.prices.lightest("ram")
        if cost.ram_bytes > self.budget.ram_bytes:
            for at in range(len(chosen) - 1):
                pair = (*light[:at], *chosen[at:at + 2], *light[at + 2:])
                alone = max(self.prices.table.positions[p].live_bytes[chosen[p]].max() for p in (at, at + 1))
                if alone > SUSPECT * self.budget.ram_bytes and self.prices.exact(pair).ram_bytes > self.budget.ram_bytes:
                    return frozenset({(at, chosen[at]), (at + 1, chosen[at + 1])})
        return frozenset(enumerate(chosen))

    def _least(self) -> str:
        least = {key: usage(self.prices.exact(self.prices.lightest(what)), self.budget).get(key, 0.0)
                 for what, key in (("ram", "ram"), ("flash", "flash"), ("cycles", "latency"))}
        over = beyond(least)
        return (f"even the lightest candidates need {over}" if over else
                f"no combination of the candidates was found to fit in {TRIES} tries")
