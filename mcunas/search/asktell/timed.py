# SPDX-License-Identifier: Apache-2.0
"""The latency of a candidate by measurement: as firmware, with its own weights, on the board's core in QEMU.

Prices of layers come from a table (mcunas.cost) and are a percent or two off, up to seven, because the forms of kernels that
can be taken, and on cores without a long multiply their work, depend on weights and scales, too. MnasNet's point is that the
target says what a network takes (Tan et al., arXiv 1807.11626).
"""
from __future__ import annotations

import resource
import time
from collections.abc import Mapping

from mcunas.board import Board
from mcunas.device.alone import standing_for, whole
from mcunas.graph import Graph


def timed(graph: Graph, board: Board, ram_bytes: int | None = None) -> dict[str, float]:
    """{"simulated_instructions", "simulated_cycles"}: of one inference, cycles those of the counted execution. ram_bytes:
    the arena's limit. Raises ToolMissing without QEMU or a compiler."""
    count, cycles = whole(graph, standing_for(board), ram_bytes)
    return {"simulated_instructions": count, "simulated_cycles": cycles}


def simulated_us(figures: Mapping[str, float], board: Board) -> float:
    """Latency as measured; the price where nothing was. On a board that QEMU has not, the price times what the core executes
    over what it was to execute."""
    if "simulated_cycles" not in figures:
        return figures.get("board_latency_us", figures["latency_us"])
    if standing_for(board).key == board.key:
        return figures["simulated_cycles"] / board.clock_hz * 1e6
    return figures["latency_us"] * figures["simulated_instructions"] / figures["priced_instructions"]


def seconds() -> float:
    """CPU seconds of this process and of the compilers and emulators that it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
