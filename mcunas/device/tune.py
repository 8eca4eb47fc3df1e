# SPDX-License-Identifier: Apache-2.0
"""Tuning: every variant of every layer's kernels runs alone in QEMU, and the selector then chooses by what it counted.

A layer runs with its own weights and shapes on a random input; the instructions that it executes are priced as in
`validate`. Figures are kept (alone.py), so that an interrupted tuning goes on where it was.
"""
from __future__ import annotations

import contextlib
from collections.abc import Callable

from mcunas.board import Board
from mcunas.compiler.choice import Choice, fingerprint
from mcunas.compiler.lower import candidates
from mcunas.compiler.rewriting import rewritten
from mcunas.compiler.select import select
from mcunas.device.alone import counted
from mcunas.errors import DoesNotFit, InputError
from mcunas.graph.ir import Graph


def tune(graph: Graph, board: Board, optimize: str = "cycles",
         progress: Callable[[int, int], None] | None = None) -> tuple[Graph, Choice]:
    """(the Graph after the compiler's passes, the choice for it). graph: int8, verified.

    A variant that does not fit the board on its own is priced by the core's table. progress: called with (layer variants
    measured, of all). Raises InputError, ToolMissing, CheckFailed.
    """
    if optimize not in ("cycles", "balanced"):
        raise InputError(f"tuning for {optimize!r} has no effect", fix="use --optimize cycles or balanced")
    graph = rewritten(graph, board, optimize).graph
    jobs = [(i, variant) for i, op in enumerate(graph.ops) if len(found := candidates(graph, op, board.isa)) > 1
            for variant in found]
    measured = {}
    for done, (i, variant) in enumerate(jobs):
        if progress:
            progress(done, len(jobs))
        with contextlib.suppress(DoesNotFit):       # alone, in full: the network may stream it, or take another variant
            measured[i, variant] = counted(graph.alone(i), variant, board, optimize)[1]
    if progress:
        progress(len(jobs), len(jobs))
    variants = select(graph, board, optimize, None, measured)
    return graph, Choice(variants, measured, board.cpu, optimize, fingerprint(graph))
