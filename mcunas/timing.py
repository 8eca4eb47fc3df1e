# SPDX-License-Identifier: Apache-2.0
"""What the instructions of a core cost: the table [timing] of boards/cost/<core>.toml, read strictly; and [calibration],
how the table of one board was measured.

Every figure is one number where a manual states it, or three, [low, typical, high], where it depends on what a count
does not show (alignment of a branch's target, values of a division) or is not published.
"""
from __future__ import annotations

from dataclasses import dataclass

Figure = tuple[float, ...]
LOW, TYPICAL, HIGH = 0, 1, 2


@dataclass(frozen=True)
class Timing:
    """Cycles, with code and data in memory without wait states.

    issue: "single" (in order, one at a time), "dual" (in order, pairs: Cortex-M7), "beats" (vector instructions of two
    beats overlap where their pipes differ: Cortex-M55).
    refill_*: what leaving a block costs besides the branch itself. per_word: each register of a multiple access.
    """

    issue: str
    load: Figure                        # alone
    load_behind_load: Figure            # where its address does not need what the load before it brings
    load_literal: Figure                # more, for a load relative to the program counter
    store: Figure
    store_indexed: Figure               # address is the sum of two registers, and no load stands before it
    multiple: Figure                    # pairs and multiples: this and per_word for each register
    per_word: Figure
    address_stall: Figure               # more, where the instruction before made the address
    multiply: Figure
    multiply_accumulate: Figure
    multiply_long: Figure
    multiply_accumulate_long: Figure
    divide: Figure
    if_then: Figure                     # IT
    refill: Figure                      # taken: b, cbz
    refill_call: Figure                 # bl
    refill_register: Figure             # bx, blx, tbb
    refill_load: Figure                 # pop {pc}, ldr pc
    # issue = "dual" or "beats": cycles until the result may be used, and what a pair and a vector instruction cost
    load_use: Figure = (1.0,)
    load_use_narrow: Figure = (1.0,)    # bytes and halfwords
    multiply_use: Figure = (1.0,)
    mispredict: Figure = (0.0,)         # a conditional branch that goes the rarer way
    loop_end: Figure = (1.0,)           # le, letp: each turn
    vector: Figure = (1.0,)             # until the next vector instruction on the same pipe may start


@dataclass(frozen=True)
class MeasuredBench:
    """A micro-benchmark (mcunas/cost/benches.py): cycles of its body; residual: what the figures say less that.
    entry: the figure of [timing] that it decided; empty: it only checks."""

    name: str
    entry: str
    cycles: float
    residual: float


@dataclass(frozen=True)
class Calibration:
    """How a table was measured. target: the board, or the emulator; counter: what counted. undecided: figures that no
    benchmark could tell, taken from the core's table."""

    date: str
    target: str
    counter: str
    clock_hz: int
    compiler: str
    flags: str
    commit: str
    undecided: tuple[str, ...]
    benches: tuple[MeasuredBench, ...]


def at(figure: Figure, bound: int) -> float:
    """The figure for LOW, TYPICAL or HIGH."""
    return figure[0] if len(figure) == 1 else figure[bound]
