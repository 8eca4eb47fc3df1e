# SPDX-License-Identifier: Apache-2.0
"""Instruction counts from the emulated timer: exact, and the same whenever they are taken."""
from __future__ import annotations

import time

import pytest

from mcunas.board import Board
from mcunas.device.link import Link
from mcunas.device.validate import instructions_of
from tests.device.stubs import stub
from tests.device.target import booted, seeded


def count(link: Link, board: Board) -> int:
    seeded(link)
    ticks, empty = link.ticks()
    return instructions_of(board, ticks) - instructions_of(board, empty)


@pytest.mark.parametrize("key", Board.cores())
def test_every_single_instruction_is_counted(key: str) -> None:
    """n turns of a two-instruction loop with n set up by one: 2 n + 1 more than nothing."""
    counts = []
    for turns in (1, 2, 3, 4, 5, 200_000):
        loop = f'uint32_t n = {turns}; (void)arena; __asm volatile("1: subs %0, #1\\nbne 1b" : "+l"(n) :: "cc");'
        with booted(stub(loop), key) as link:
            counts.append(count(link, Board.load(key)))
    first = counts[0]
    assert [c - first for c in counts[1:5]] == [2, 4, 6, 8]
    assert abs(counts[5] - first - 2 * 199_999) <= 4    # the constant may take more instructions to make


@pytest.mark.parametrize("key", ["mps2-an386", "mps3-an547", "microbit"])
def test_two_runs_agree_to_the_instruction(key: str) -> None:
    seen = set()
    for _ in range(2):
        with booted(stub(), key) as link:
            for _ in range(3):
                seen.add(count(link, Board.load(key)))
                time.sleep(0.003)
                link.command("name")
                link.infer(2, 1)
    assert len(seen) == 1
