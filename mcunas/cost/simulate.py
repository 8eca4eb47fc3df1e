# SPDX-License-Identifier: Apache-2.0
"""A layer whose kernel the core's table does not know: built alone, run in QEMU, and remembered.

What was counted is kept in the user's cache under a hash of the built image, so it holds for those very instructions.
"""
from __future__ import annotations

import hashlib
import json
import tempfile

from mcunas.atomic import write_file
from mcunas.board import Board
from mcunas.compiler.choice import Choice, fingerprint
from mcunas.compiler.lower import candidates
from mcunas.errors import InputError
from mcunas.graph.ir import Graph
from mcunas.paths import cache_dir

_KNOWN: dict[tuple[str, str, str], tuple[int, int]] = {}


def simulated(layer: Graph, board: Board, kernel: str) -> tuple[int, int]:
    """(instructions, cycles) of a Graph of one op, computed by `kernel`; on an emulated board of the same core where the
    board has no emulator.

    Raises InputError where there is none, ToolMissing.
    """
    if board.emulate is None:
        cores = (Board.load(key) for key in Board.keys())
        board = next((b for b in cores if b.emulate and b.cost_table == board.cost_table), board)
    if board.emulate is None:
        raise InputError("no price for this kernel, and no emulator to find it", f"{layer.ops[0].kind} on {board.key}",
                         "add the kernel to boards/cost/instructions-*.toml")
    key = board.key, fingerprint(layer), kernel
    if key not in _KNOWN:
        _KNOWN[key] = _simulated(layer, board, kernel)
    return _KNOWN[key]


def _simulated(layer: Graph, board: Board, kernel: str) -> tuple[int, int]:
    from mcunas.compiler import compile_graph
    from mcunas.device import build
    from mcunas.device.profile import profile

    ways = candidates(layer, layer.ops[0], board.isa)
    variant = next(v for v, calls in ways.items() if calls and calls[0].kernel == kernel)
    with tempfile.TemporaryDirectory(prefix="mcunas-") as folder:
        image = build(compile_graph(layer, board, rewrite=False, choice=Choice({0: variant})), board, folder)
        path = cache_dir() / "cost" / f"{hashlib.sha256(image.bin.read_bytes()).hexdigest()}.json"
        try:
            found = json.loads(path.read_text())
        except (OSError, ValueError):
            total = profile(image).total
            found = [total.instructions, total.cycles]
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, json.dumps(found) + "\n")
    return int(found[0]), int(found[1])
