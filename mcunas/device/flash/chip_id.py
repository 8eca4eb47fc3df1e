# SPDX-License-Identifier: Apache-2.0
"""Is this the chip that the board file means? Asked before anything is written to it, and by `mcunas validate --port`."""
from __future__ import annotations

from mcunas.board import Board
from mcunas.errors import CheckFailed


def demand_chip(board: Board, word: int) -> None:
    """Raises CheckFailed unless `word`, read at the board's chip_id address, is that chip's."""
    assert board.flashing is not None and board.flashing.chip_id is not None
    chip = board.flashing.chip_id
    if word & chip.mask != chip.value:
        raise CheckFailed(f"this is another chip: {word & chip.mask:#x} at {chip.address:#010x}, a {board.chip} has "
                          f"{chip.value:#x}", board.key, "connect the right board, or name the one that is connected")
