# SPDX-License-Identifier: Apache-2.0
"""One layer alone in QEMU, computed by a kernel of choice: what a tuning compares, and the price of a kernel that the
core's table does not know; and a whole network, for a search that measures.

Figures are kept in the user's cache under a hash of the built image and the prices, so they hold for those very
instructions, and equal layers are measured once.
"""
from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile

from mcunas.atomic import write_file
from mcunas.board import Board
from mcunas.compiler import Compiled, compile_graph
from mcunas.compiler.choice import Choice
from mcunas.compiler.lower import candidates
from mcunas.device.build import Image, build
from mcunas.device.profile import executed
from mcunas.device.run import connect
from mcunas.device.validate import instructions
from mcunas.errors import InputError, ToolMissing
from mcunas.graph.ir import Graph
from mcunas.paths import cache_dir


def counted(layer: Graph, variant: str, board: Board, optimize: str = "balanced") -> tuple[int, int]:
    """(instructions, modelled cycles) of one inference of a Graph of one op, with its own weights on a random input.

    Raises InputError, DoesNotFit, ToolMissing.
    """
    return _kept(compile_graph(layer, board, optimize, rewrite=False, choice=Choice({0: variant})), board)


def whole(graph: Graph, board: Board, ram_bytes: int | None = None) -> tuple[int, int]:
    """(instructions, modelled cycles) of one inference of a network as it is deployed on an emulated board. ram_bytes: of
    the arena, as given to the compiler.

    Raises InputError, DoesNotFit, ToolMissing.
    """
    return _kept(compile_graph(graph, board, ram_bytes=ram_bytes), board)


def _kept(compiled: Compiled, board: Board) -> tuple[int, int]:
    with tempfile.TemporaryDirectory(prefix="mcunas-") as folder:
        image = build(compiled, board, folder)
        prices = repr((board.cycle_model, board.fetch)).encode()
        kept = cache_dir() / "counts" / f"{hashlib.sha256(image.bin.read_bytes() + prices).hexdigest()}.json"
        with contextlib.suppress(OSError, ValueError):
            count, cycles = json.loads(kept.read_text())
            return int(count), int(cycles)
        count, cycles = _counted(image)
        with contextlib.suppress(OSError):
            write_file(kept, json.dumps([count, cycles]) + "\n")
        return count, cycles


def _counted(image: Image) -> tuple[int, int]:
    try:
        count, cycles = executed(image)
        return count, round(cycles.typical)
    except ToolMissing:             # QEMU's plugins: then by number alone
        with connect(image) as link:
            alone = instructions(link, image)
        if alone is None:
            raise
        return alone, round(alone * image.board.cycle_model.cycles_per_instruction)


def simulated(layer: Graph, board: Board, kernel: str) -> tuple[int, int]:
    """`counted` for the kernel's name, on the machine that stands for the board's core where there is one."""
    board = standing_for(board)
    if board.emulate is None:
        raise InputError("no price for this kernel, and no emulator to find it", f"{layer.ops[0].kind} on {board.key}",
                         "add the kernel to boards/cost/instructions-*.toml")
    ways = candidates(layer, layer.ops[0], board.isa)
    return counted(layer, next(v for v, calls in ways.items() if calls and calls[0].kernel == kernel), board)


def standing_for(board: Board) -> Board:
    """The machine that QEMU has for the board's core; the board itself where there is none."""
    if board.emulate and board.emulate.core_model:
        return board
    return next((b for b in map(Board.load, Board.cores()) if b.cost_table == board.cost_table), board)
