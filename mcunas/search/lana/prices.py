# SPDX-License-Identifier: Apache-2.0
"""What a chain of candidates costs on a board: tables for the integer program, and the compiler's own word on the whole.

Every candidate is priced alone (cost.choices); flash without code and cycles add up, code is paid once per kernel. What the
compiler does across the borders of cells is the difference to the exact price of a whole chain: it corrects the rows.
"""
from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.cost import Cost, estimate
from mcunas.cost.choices import Choices, Options
from mcunas.cost.estimate import remembering
from mcunas.errors import DoesNotFit
from mcunas.search.lana.candidates import Candidate, make
from mcunas.search.lana.program import Chosen, Row
from mcunas.space.cells import Cell, Chain
from mcunas.space.price import graph_of, usage

if TYPE_CHECKING:
    from mcunas.cost.estimate import Simulator


class ChainPrices:
    """cells: with their candidates, per cell in the same order. simulator: as in space.price. `calls` and `cpu_seconds`
    count exact prices."""

    def __init__(self, cells: Sequence[Cell], pools: Sequence[Sequence[Candidate]], board: Board,
                 ram_bytes: int | None = None, simulator: Simulator | None = None) -> None:
        self.cells, self.pools, self.board, self.ram_bytes = tuple(cells), tuple(map(tuple, pools)), board, ram_bytes
        self.simulator = remembering(simulator) if simulator else None
        self.calls, self.cpu_seconds = 0, 0.0
        self._modules: dict[tuple[int, int], nn.Module] = {}
        self._known: dict[Chosen, Cost] = {}

    def module(self, slot: int, option: int) -> nn.Module:
        if (slot, option) not in self._modules:
            self._modules[slot, option] = make(self.cells[slot], self.pools[slot][option])
        return self._modules[slot, option]

    def exact(self, chosen: Chosen) -> Cost:
        """As the compiler plans the whole chain; known ones cost nothing."""
        if chosen not in self._known:
            started = time.process_time()
            chain = Chain({c.name: self.module(at, k) for at, (c, k) in enumerate(zip(self.cells, chosen, strict=True))})
            graph = graph_of(chain, self.cells[0].size, self.cells[0].channels)
            self._known[chosen] = estimate(graph, self.board, rewrite=False, ram_bytes=self.ram_bytes,
                                           simulator=self.simulator)
            self.calls, self.cpu_seconds = self.calls + 1, self.cpu_seconds + time.process_time() - started
        return self._known[chosen]

    def fits(self, chosen: Chosen, budget: Budget) -> bool:
        return max(usage(self.exact(chosen), budget).values()) <= 1

    @cached_property
    def table(self) -> Choices:
        return Choices([self._priced(at) for at in range(len(self.cells))], self.board)

    def _priced(self, slot: int) -> Options:
        cell = self.cells[slot]
        graphs = {c.name: graph_of(self.module(slot, k), cell.size, cell.channels) for k, c in enumerate(self.pools[slot])}
        return Options.of(graphs, self.board, simulator=self.simulator)

    def rows(self, budget: Budget, correction: tuple[float, float]) -> tuple[Row, ...]:
        """(flash, cycles where latency is limited). correction: (flash bytes, cycles) that the exact price has beyond the
        table's."""
        table, prices = self.table, self.table.prices
        charges = [(float(size), tuple(np.array([name in found for found in o.kernels]) for o in table.positions))
                   for name, size in zip(table.kernels, table.code_bytes)]
        for member in table.members:
            needing = {k for k in table.kernels if member in prices.needs(k)}
            charges.append((float(prices.member_bytes.get(member, 0)),
                            tuple(np.array([bool(needing & found) for found in o.kernels]) for o in table.positions)))
        flash = Row(tuple(o.data_bytes.astype(float) for o in table.positions), budget.flash_bytes - correction[0],
                    tuple(c for c in charges if c[0] > 0))
        if budget.latency_us is None:
            return (flash,)
        cycles = budget.latency_us * self.board.clock_hz / 1e6
        return flash, Row(tuple(o.cycles for o in table.positions), cycles - correction[1])

    def correction(self, chosen: Chosen) -> tuple[float, float]:
        """What the exact price has beyond the table's, in (flash bytes, cycles)."""
        cost, (_, flash_bytes, cycles) = self.exact(chosen), self.table.exact(chosen)
        return cost.flash_bytes - flash_bytes, cost.cycles - cycles

    def lightest(self, what: str) -> Chosen:
        """The chain of the options that are lightest in "ram", "flash" or "cycles" on their own."""
        of = {"ram": lambda o: o.live_bytes.max(1), "flash": lambda o: o.data_bytes, "cycles": lambda o: o.cycles}[what]
        return tuple(int(np.argmin(of(options))) for options in self.table.positions)

    def deleted(self, budget: Budget) -> list[np.ndarray]:
        """Per slot, which options exceed the RAM whatever stands elsewhere.

        On its own an option needs as much as it needs in the chain, if the compiler keeps the steps inside cells; it may do
        better across borders, so that one that is too large alone is tried in the lightest chain.
        Raises DoesNotFit when a slot has no option left.
        """
        light, gone = self.lightest("ram"), []
        for at, options in enumerate(self.table.positions):
            too_large = options.live_bytes.max(1) > budget.ram_bytes
            for k in np.flatnonzero(too_large):
                trial = (*light[:at], int(k), *light[at + 1:])
                too_large[k] = self.exact(trial).ram_bytes > budget.ram_bytes
            if too_large.all():
                raise DoesNotFit(f"no candidate of {self.cells[at].name} fits {budget.ram_bytes} bytes of RAM; the lightest "
                                 f"needs {self.exact(light).ram_bytes}", where=self.board.key,
                                 fix="raise the budget or start from a smaller network")
            gone.append(too_large)
        return gone
