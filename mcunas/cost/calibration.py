# SPDX-License-Identifier: Apache-2.0
"""From measured micro-benchmarks to the figures of [timing]: each is what makes the cycle model (cycles.py) agree with the
benchmark that decides it, one after another, so that a figure rests only on those before it.

What a benchmark cannot decide (no such instruction, or the model does not look at the figure) stays as the core's table
has it. The remaining benchmarks check: their residuals are the error of the model on this core.
"""
from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mcunas.board_parts import Fetch
from mcunas.cost.benches import Bench
from mcunas.cost.cycles import Block, price
from mcunas.cost.thumb import Instruction
from mcunas.timing import TYPICAL, Timing, at

_RUNS = 2               # of every body in its blocks, so that half of its branches can be taken
_MOST_CYCLES = 128.0    # of one figure
_NOISE = 0.005          # cycles; below it two figures are one
# The figures in the order in which one needs another.
_ORDER = ("load", "load_behind_load", "load_literal", "store", "store_indexed", "per_word", "multiple", "load_use",
          "load_use_narrow", "address_stall", "multiply", "multiply_use", "multiply_accumulate", "multiply_long",
          "multiply_accumulate_long", "divide", "if_then", "refill", "refill_call", "refill_register", "refill_load",
          "loop_end", "vector", "mispredict")


@dataclass(frozen=True)
class Measured:
    """code_n, code_2n: the disassembled bodies, bench.copies and twice as many. cycles: of one body, their difference."""

    bench: Bench
    code_n: tuple[Instruction, ...]
    code_2n: tuple[Instruction, ...]
    cycles: float


@dataclass(frozen=True)
class Line:
    """One benchmark beside the fitted model; cycles and instructions of one body. entry: what it decided, or ""."""

    name: str
    entry: str
    instructions: float
    cycles: float
    model: float

    @property
    def residual(self) -> float:
        """Model less measurement, in cycles."""
        return self.model - self.cycles


@dataclass(frozen=True)
class Fitted:
    """cycles_per_instruction: (least, mean, most) over the inner loops of kernels. error_percent: nine tenths of the
    benchmarks that decided nothing agree within it. undecided: figures left as they were."""

    timing: Timing
    lines: tuple[Line, ...]
    cycles_per_instruction: tuple[float, float, float]
    error_percent: float
    undecided: tuple[str, ...]


def fit(measured: Sequence[Measured], start: Timing, fetch: Fetch | None = None) -> Fitted:
    """start: the core's table, for what is not decided here. fetch: of the board's flash, if it has wait states."""
    by_name = {one.bench.name: one for one in measured}
    timing = replace(start, issue=_issue(by_name))
    decided: dict[str, list[str]] = {}
    for entry in _ORDER:
        found = {}
        for one in measured:
            if one.bench.entry == entry:
                found[one.bench.name] = _solve(entry, one, by_name.get(one.bench.minus), timing, fetch)
        # The model takes the lesser of a load behind a load and one alone.
        most = at(timing.load, TYPICAL) if entry == "load_behind_load" else _MOST_CYCLES
        figures = sorted(min(x, most) for x in found.values() if x is not None)
        if figures:
            decided[entry] = [name for name, x in found.items() if x is not None]
            spread = figures[-1] - figures[0] > _NOISE
            middle = round(statistics.median(figures), 3)
            figure: Any = (figures[0], middle, figures[-1]) if spread else (middle,)
            timing = replace(timing, **{entry: figure})
    lines = tuple(_line(one, timing, fetch, one.bench.name in decided.get(one.bench.entry, ())) for one in measured)
    mixes = [line.cycles / line.instructions for one, line in zip(measured, lines) if one.bench.mix]
    off = sorted(abs(line.residual) / line.cycles for line in lines if not line.entry)
    return Fitted(timing, lines, (min(mixes), statistics.fmean(mixes), max(mixes)),
                  100 * off[min(len(off) - 1, int(0.9 * len(off)))],
                  tuple(entry for entry in _ORDER if entry not in decided))


def body_cycles(one: Measured, timing: Timing, fetch: Fetch | None = None) -> float:
    """What the model says of one body."""
    n, two_n = (_cycles(code, one.bench, timing, fetch) for code in (one.code_n, one.code_2n))
    return (two_n - n) / one.bench.copies


def blocks_of(code: Sequence[Instruction], bench: Bench) -> list[Block]:
    """The straight-line blocks of _RUNS passes through `code`, from its first address to its end."""
    at_address = {one.address: i for i, one in enumerate(code)}
    counts: dict[tuple[Instruction, ...], list[int]] = {}
    current: list[Instruction] = []
    turns = {one.address: bench.turns for one in code if one.kind == "loop"}
    i = 0
    while i < len(code):
        one = code[i]
        current.append(one)
        i += 1
        if one.kind == "loop_start" or not (one.class_ == "branch" or "pc" in one.writes):
            continue
        taken = bench.taken if one.is_conditional else 1.0
        if one.kind == "loop":
            turns[one.address] -= 1
            taken = float(turns[one.address] > 0)
        if taken and one.target is not None:
            i = at_address.get(one.target, len(code))
        count = counts.setdefault(tuple(current), [0, 0])
        count[0] += _RUNS
        count[1] += round(_RUNS * taken)
        current = []
    if current:
        counts.setdefault(tuple(current), [0, 0])[0] += _RUNS
    return [Block(block, runs, taken) for block, (runs, taken) in counts.items()]


def _cycles(code: Sequence[Instruction], bench: Bench, timing: Timing, fetch: Fetch | None) -> float:
    blocks = blocks_of(code, bench)
    if fetch and bench.walks:
        blocks = [replace(block, next_lines=_RUNS * sum(one.size for one in block.instructions) // fetch.line_bytes)
                  for block in blocks]
    return price(blocks, timing, fetch if bench.walks else None).typical / _RUNS


def _issue(by_name: dict[str, Measured]) -> str:
    """How instructions start, by what two that need nothing of each other take: words alone tell a Cortex-M7 from an M33,
    which pairs only 16-bit instructions."""
    vectors, words = by_name.get("vector_pair"), by_name.get("alu_pair")
    if vectors is not None and vectors.cycles > 3:
        return "beats"
    return "dual" if words is not None and words.cycles < 1.5 else "single"


def _solve(entry: str, one: Measured, minus: Measured | None, timing: Timing, fetch: Fetch | None) -> float | None:
    """The figure with which the model says what was measured, or comes nearest; None: the model does not look at it."""
    goal = one.cycles - (minus.cycles if minus else 0.0)

    def off(x: float) -> float:
        figure: Any = (x,)
        moved = replace(timing, **{entry: figure})
        return body_cycles(one, moved, fetch) - (body_cycles(minus, moved, fetch) if minus else 0.0) - goal

    if off(_MOST_CYCLES) - off(0.0) < _NOISE:
        return None
    start = at(getattr(timing, entry), TYPICAL)
    # A figure that grows makes nothing cheaper. Where several say the same, the nearest to the start is taken.
    is_low = off(start) < -_NOISE
    if not is_low and off(start) <= _NOISE:
        return start
    low, high = (start, _MOST_CYCLES) if is_low else (0.0, start)
    while high - low > 1e-5:
        middle = (low + high) / 2
        if off(middle) < (-_NOISE / 100 if is_low else _NOISE / 100):
            low = middle
        else:
            high = middle
    return round((low + high) / 2, 3)


def _line(one: Measured, timing: Timing, fetch: Fetch | None, decides: bool) -> Line:
    executed = [sum(block.runs * len(block.instructions) for block in blocks_of(code, one.bench)) / _RUNS
                for code in (one.code_n, one.code_2n)]
    return Line(one.bench.name, one.bench.entry if decides else "", (executed[1] - executed[0]) / one.bench.copies,
                one.cycles, body_cycles(one, timing, fetch))
