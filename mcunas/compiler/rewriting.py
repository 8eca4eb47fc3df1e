# SPDX-License-Identifier: Apache-2.0
"""The passes as a board wants them: all dead channels go, or so many that kernels for four channels at a time stay even.

Taking one channel of sixteen away costs a Cortex-M4 6 % more cycles for the layer. What fits a latency before its trained
weights are known, with none of its channels dead, must still do so afterwards.
"""
from __future__ import annotations

from typing import TYPE_CHECKING

from mcunas.compiler import passes
from mcunas.compiler.choice import Choice
from mcunas.compiler.select import least_cycles
from mcunas.graph.ir import Graph

if TYPE_CHECKING:
    from mcunas.board import Board

GRAINS = {"dsp": 4, "mve": 4}       # by isa: channels that kernels take at a time


def rewritten(graph: Graph, board: Board, optimize: str, tuned: Choice | None = None) -> passes.Optimized:
    """`graph` (verified) after the passes for a goal: of fewest bytes for `ram` and `flash`, else of fewest cycles by the
    core's table, and of fewest bytes among equals. tuned: what was measured, for the goal that it names."""
    smallest, goal = passes.optimize(graph), tuned.optimize if tuned and tuned.optimize else optimize
    has_cut = any(note.name == passes.DEAD_CHANNELS for note in smallest.notes)
    if not has_cut or board.isa not in GRAINS or goal in ("ram", "flash"):
        return smallest
    even = passes.optimize(graph, grain=GRAINS[board.isa])
    return min(smallest, even, key=lambda found: least_cycles(found.graph, board))
