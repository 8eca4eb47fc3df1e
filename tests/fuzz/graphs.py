# SPDX-License-Identifier: Apache-2.0
"""Generated C of random networks that are valid, under every goal and for every core: built with sanitizers, its bytes are
those of TFLite Micro. Not guided by coverage: a network is a number, and a number is drawn once.

What tests/compiler/test_same_bytes.py does with a few fixed ones.
"""
from __future__ import annotations

import time
from pathlib import Path
from random import SystemRandom

from mcunas.board import Board
from mcunas.compiler import OPTIMIZE, compile_graph
from tests.compiler.poison import wrong
from tests.kernels.bundle import draw
from tests.kernels.strategies_graph import row_network, small_graph
from tests.oracle import differences

CORES = ("mps2-an386", "mps2-an385", "mps2-an385-m0plus", "mps3-an547")


def once(number: int, folder: Path) -> list[str]:
    """What is wrong with network `number`."""
    case = draw((small_graph, row_network)[number % 2](), 1, number)[0]
    goal, board = list(OPTIMIZE)[number // 2 % len(OPTIMIZE)], Board.load(CORES[number // 8 % len(CORES)])
    folder.mkdir(parents=True, exist_ok=True)
    return differences(*case) + wrong(compile_graph(case[0], board, goal, model_id="model"), case, folder)


def explore(folder: Path, seconds: int, runs: int | None) -> tuple[int, list[str]]:
    """(networks looked at, names of files that hold the number of one that is wrong)."""
    random, end, done, found = SystemRandom(), time.monotonic() + seconds, 0, []
    while done < runs if runs else time.monotonic() < end:
        number, done = random.randrange(10_000, 1 << 30), done + 1
        try:
            said = once(number, folder / "work")
        except Exception as error:      # also what a sanitizer stops
            said = [f"{type(error).__name__}: {error}"]
        if said:
            found.append(f"crash-{number}")
            (folder / found[-1]).write_text("\n".join(map(str, said)) + "\n")
    return done, found
