# SPDX-License-Identifier: Apache-2.0
"""Tuning: every variant of every layer's kernels runs alone in QEMU, and the selector then chooses by what it counted.

A layer runs with its own weights and shapes on a random input; the instructions that it executes are priced as in
`validate`. Figures are kept in the user's cache under a hash of the built image and the prices, so that an interrupted
tuning goes on where it was, and equal layers are measured once.
"""
from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from mcunas.atomic import write_file
from mcunas.board import Board
from mcunas.compiler import compile_graph
from mcunas.compiler.choice import Choice, fingerprint
from mcunas.compiler.lower import candidates
from mcunas.compiler.passes import optimize as rewrite
from mcunas.compiler.select import select
from mcunas.device.build import Image, build
from mcunas.device.run import connect
from mcunas.device.validate import instructions, modelled
from mcunas.errors import DoesNotFit, InputError
from mcunas.graph.ir import Graph
from mcunas.paths import cache_dir


def tune(graph: Graph, board: Board, optimize: str = "cycles",
         progress: Callable[[int, int], None] | None = None) -> tuple[Graph, Choice]:
    """(the Graph after the compiler's passes, the choice for it). graph: int8, verified.

    A variant that does not fit the board on its own is priced by the core's table. progress: called with (layer variants
    measured, of all). Raises InputError, ToolMissing, CheckFailed.
    """
    if optimize not in ("cycles", "balanced"):
        raise InputError(f"tuning for {optimize!r} has no effect", fix="use --optimize cycles or balanced")
    graph = rewrite(graph).graph
    jobs = [(i, variant) for i, op in enumerate(graph.ops) if len(found := candidates(graph, op, board.isa)) > 1
            for variant in found]
    measured = {}
    for done, (i, variant) in enumerate(jobs):
        if progress:
            progress(done, len(jobs))
        with contextlib.suppress(DoesNotFit):       # alone, in full: the network may stream it, or take another variant
            measured[i, variant] = _cycles(graph.alone(i), variant, board, optimize)
    if progress:
        progress(len(jobs), len(jobs))
    variants = select(graph, board, optimize, None, measured)
    return graph, Choice(variants, measured, board.cpu, optimize, fingerprint(graph))


def _cycles(layer: Graph, variant: str, board: Board, optimize: str) -> int:
    compiled = compile_graph(layer, board, optimize, rewrite=False, choice=Choice({0: variant}))
    with tempfile.TemporaryDirectory(prefix="mcunas-") as folder:
        image = build(compiled, board, folder)
        prices = repr((board.cycle_model, board.fetch)).encode()
        key = hashlib.sha256(image.bin.read_bytes() + prices).hexdigest()
        cached = cache_dir() / "counts" / key
        with contextlib.suppress(OSError, ValueError):
            return int(cached.read_text())
        count, _ = modelled(image, lambda: _executed(image), seed=0)
        with contextlib.suppress(OSError):
            write_file(Path(cached), f"{count}\n")
        return count


def _executed(image: Image) -> int:
    with connect(image) as link:
        return instructions(link, image)
