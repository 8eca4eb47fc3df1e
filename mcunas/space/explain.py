# SPDX-License-Identifier: Apache-2.0
"""What a space offers: every option of every slot, and what it would cost on a board."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcunas.space.price import Prices
from mcunas.space.space import Space

if TYPE_CHECKING:
    from mcunas.board import Board
    from mcunas.cost.estimate import Simulator


def explain(space: Space, board: Board, simulator: Simulator | None = None) -> dict[str, Any]:
    """JSON: "space", "board", "networks" (how many, skips in one stage counted wherever they stand), and "slots": each
    with its sizes and its options' prices, of the block alone: cycles, flash bytes less shared code, RAM bytes.
    simulator: see Prices."""
    prices, count, slots = Prices(space, board, None, simulator), 1, []
    for slot in space.slots:
        count *= len(slot.options)
        at = slot.context
        slots.append({"slot": slot.name, "input": [*at.size, at.inputs], "output": [*at.out_size, at.outputs],
                      "options": [{"name": name, **price} for name, price in prices.row(slot).items()]})
    return {"space": space.start, "board": board.key, "networks": count, "slots": slots}
