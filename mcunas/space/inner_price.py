# SPDX-License-Identifier: Apache-2.0
"""What inner widths that are searched add to the expected price: each bi-path's two widths, priced on their own.

`Prices.expected` prices an option at the inner width that it has by itself; this is the difference. The kernels that an
option needs are taken to be the same at any width: the exact price of what is found has the last word.
"""
from __future__ import annotations

from collections.abc import Mapping

import torch

from mcunas.cost.choices import Options
from mcunas.space.blocks import build
from mcunas.space.price import Expected, Prices, graph_of
from mcunas.space.tiered import TieredSupernet


class InnerPrices:
    """Remembers the blocks that it has priced: a width is priced once."""

    def __init__(self, prices: Prices) -> None:
        self.prices = prices
        self._known: dict[tuple, tuple[float, int, int]] = {}

    def figures(self, slot: str, option: str, width: int) -> tuple[float, int, int]:
        """(cycles, bytes of flash without code, peak bytes of RAM) of one block."""
        context = self.prices.space.slot(slot).context
        key = context, option, width
        if key not in self._known:
            graph = graph_of(build(option, context, width), context.size, context.inputs)
            found = Options.of({option: graph}, self.prices.board, simulator=self.prices.simulator)
            self._known[key] = float(found.cycles[0]), int(found.data_bytes[0]), int(found.live_bytes.max())
        return self._known[key]

    def added(self, net: TieredSupernet, weights: Mapping[str, torch.Tensor], expected: Expected) -> Expected:
        """`expected` with the bi-paths' own widths. weights: slot -> (N,) as for `Prices.expected`."""
        cycles, flash_bytes, ram_bytes = expected.cycles, expected.flash_bytes, expected.ram_bytes
        places = {slot: 1 + k for k, slot in enumerate(net.slots)}         # after the stem
        for (slot, option), path in net.inner().items():
            at = self.prices.row(slot)[option]
            lo, hi = (self.figures(slot, option, width) for width in path.widths)
            share = weights[slot][net.slots[slot].index(option)]
            cycles = cycles + share * (path.expected(lo[0], hi[0]) - at["cycles"])
            flash_bytes = flash_bytes + share * (path.expected(lo[1], hi[1]) - at["flash_bytes"])
            more = share * (path.expected(lo[2], hi[2]) - at["ram_bytes"])
            ram_bytes = ram_bytes.index_add(0, torch.tensor([places[slot]]), more[None])
        return Expected(cycles, flash_bytes, ram_bytes)
