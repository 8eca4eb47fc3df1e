# SPDX-License-Identifier: Apache-2.0
"""Cycles of counted code: straight-line blocks of disassembled instructions, how often each ran, how often it was left.

The price of a block is that of one pass through it on an idle pipeline, or, where it loops to itself, of one more pass;
what else overlaps across a block's end is not seen. Memory has no wait states, or those that the board file names ([fetch]).
Figures and their sources are in boards/cost/<core>.toml; how far they can be trusted is `error_percent` there.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mcunas.board_parts import Fetch
from mcunas.cost.thumb import Instruction
from mcunas.timing import HIGH, LOW, TYPICAL, Timing, at

_MULTIPLIES = ("multiply", "mac", "multiply_long", "mac_long")


@dataclass(frozen=True)
class Block:
    """Instructions that follow one another. runs: how often it was entered at its top; taken: how often it was left
    for another address than the next. jump_lines, next_lines, data_lines: lines of flash that all its runs read."""

    instructions: tuple[Instruction, ...]
    runs: int
    taken: int
    jump_lines: int = 0
    next_lines: int = 0
    data_lines: int = 0


@dataclass(frozen=True)
class Cycles:
    """low and high: with every figure of the core at its least and its most."""

    low: float
    typical: float
    high: float

    def __add__(self, other: Cycles) -> Cycles:
        return Cycles(self.low + other.low, self.typical + other.typical, self.high + other.high)


def price(blocks: Iterable[Block], timing: Timing, fetch: Fetch | None = None) -> Cycles:
    """Cycles of all runs of `blocks`; fetch: of the flash that code and constants lie in."""
    blocks = tuple(blocks)
    return Cycles(*(sum(_price(block, timing, fetch, bound) for block in blocks) for bound in (LOW, TYPICAL, HIGH)))


def _price(block: Block, timing: Timing, fetch: Fetch | None, bound: int) -> float:
    last, code = block.instructions[-1], block.instructions
    once = block_cycles(code, timing, bound)
    if last.target == code[0].address and block.taken:      # a loop: the next pass overlaps with the end of this one
        once = block_cycles(code * 2, timing, bound) - once
    cycles = block.runs * once + block.taken * _refill(last, timing, bound)
    if last.is_conditional and last.kind == "branch":
        cycles += min(block.taken, block.runs - block.taken) * at(timing.mispredict, bound)
    return cycles + (_fetch_stall(block, once, fetch) if fetch else 0.0)


def _fetch_stall(block: Block, cycles: float, fetch: Fetch) -> float:
    """Cycles that all runs of a block wait for flash, where executing it once takes `cycles`."""
    hidden = cycles * fetch.line_bytes / sum(one.size for one in block.instructions) if fetch.prefetch else 0.0
    return (fetch.wait_states * (block.jump_lines + block.data_lines)
            + max(0.0, fetch.wait_states - hidden) * block.next_lines)


def block_cycles(instructions: Sequence[Instruction], timing: Timing, bound: int = TYPICAL) -> float:
    """One pass, its last instruction not taken where it is a branch."""
    walk = {"single": _one_by_one, "dual": _in_pairs, "beats": _in_beats}[timing.issue]
    return walk(instructions, timing, bound)


def _refill(last: Instruction, timing: Timing, bound: int) -> float:
    if last.kind == "loop":
        return 0.0
    kinds = {"branch_call": timing.refill_call, "branch_register": timing.refill_register}
    return at(timing.refill_load if last.class_ == "load" else kinds.get(last.kind, timing.refill), bound)


def _base(one: Instruction, timing: Timing, bound: int) -> float:
    """Cycles of an instruction for itself."""
    if one.kind.endswith(("_pair", "_multiple")):
        return at(timing.multiple, bound) + one.transfers * at(timing.per_word, bound)
    figures = {"load": timing.load, "load_narrow": timing.load, "load_vector": timing.load, "store": timing.store,
               "store_vector": timing.store, "multiply": timing.multiply, "mac": timing.multiply_accumulate,
               "multiply_long": timing.multiply_long, "mac_long": timing.multiply_accumulate_long,
               "divide": timing.divide, "loop": timing.loop_end}
    if one.kind == "other" and one.stem.startswith("it"):
        return at(timing.if_then, bound)
    literal = at(timing.load_literal, bound) if one.is_literal and one.class_ == "load" else 0.0
    return at(figures.get(one.kind, (1.0,)), bound) + literal


def _one_by_one(instructions: Sequence[Instruction], timing: Timing, bound: int) -> float:
    """Armv6-M and v7-M without pairs. Single loads and stores behind a load share its address and data phases."""
    total = 0.0
    before: Instruction | None = None
    for one in instructions:
        cycles = _base(one, timing, bound)
        single = one.kind in ("load", "load_narrow", "store")
        behind_load = before is not None and before.kind in ("load", "load_narrow")
        if single and behind_load and not before.writes & one.address_registers:
            cycles -= at(timing.load if one.class_ == "load" else timing.store, bound)
            cycles += min(at(timing.load_behind_load, bound), at(timing.load, bound))
        elif one.kind == "store" and one.is_indexed:
            cycles += at(timing.store_indexed, bound) - at(timing.store, bound)
        if before is not None and before.class_ not in ("load", "store") and before.writes & one.address_registers:
            cycles += at(timing.address_stall, bound)
        total += cycles
        before = one
    return total


def _in_pairs(instructions: Sequence[Instruction], timing: Timing, bound: int) -> float:
    """Cortex-M7: two neighbours start together where neither needs the other and their pipes differ."""
    ready: dict[str, float] = {}        # when a register may be used
    summed: dict[str, float] = {}       # when it may be added to: sums are forwarded inside the multiplier
    first: Instruction | None = None    # started at `now` and may take a partner
    now, free = 0.0, 0.0                # start of the last instruction; when the next may start alone
    for one in instructions:
        data = max([0.0, *(ready.get(r, 0.0) for r in one.reads - one.accumulators),
                    *(summed.get(r, 0.0) for r in one.accumulators)])
        if first is not None and data <= now and _pair(first, one):
            first = None
        else:
            now = max(free, data)
            first = None if one.transfers > 1 else one
        free = max(free, now + max(1.0, _base(one, timing, bound)))
        for register in one.writes:
            ready[register] = now + _latency(one, timing, bound)
            summed[register] = now + 1 if one.kind in _MULTIPLIES else ready[register]
    return free


def _latency(one: Instruction, timing: Timing, bound: int) -> float:
    if one.class_ == "load":
        return at(timing.load_use_narrow if one.kind == "load_narrow" else timing.load_use, bound)
    if one.kind in _MULTIPLIES:
        return at(timing.multiply_use, bound)
    return max(1.0, at(timing.divide, bound)) if one.kind == "divide" else 1.0


def _is_shifted(one: Instruction) -> bool:
    """It needs the shifter: shifts, extensions, operands with a shift."""
    return one.class_ == "widen" or one.stem[:3] in ("lsl", "lsr", "asr", "ror", "ubf", "sbf", "bfi", "sat") or any(
        f", {shift}" in one.operands for shift in ("lsl", "lsr", "asr", "ror"))


def _pair(first: Instruction, second: Instruction) -> bool:
    """May the second start in the same cycle as the first?"""
    if first.class_ == "branch" or second.transfers > 1 or "divide" in (first.kind, second.kind):
        return False
    if second.reads & first.writes or second.writes & first.writes:
        return False
    if second.stem.startswith(("sml", "smu", "pkh", "ssat", "sxtb16", "sxtab16", "uxtb16", "uxtab16")):
        return False                    # SIMD only from the lower address
    memory = {first.class_, second.class_} <= {"load", "store"}
    if memory and "store" in (first.class_, second.class_):
        return False
    one_pipe = first.kind in _MULTIPLIES and second.kind in _MULTIPLIES
    return not one_pipe and not (_is_shifted(first) and _is_shifted(second))


def _in_beats(instructions: Sequence[Instruction], timing: Timing, bound: int) -> float:
    """Cortex-M55: one start a cycle; a vector instruction keeps its pipe (memory, integer, multiply) for two."""
    ready: dict[str, float] = {}
    free: dict[str, float] = {}
    now = 0.0
    for one in instructions:
        pipe = _pipe(one)
        waits = (r for r in one.reads - one.accumulators if not (r[0] == "q" and one.is_vector))   # vectors chain by beats
        start = max([now, free.get(pipe, 0.0), *(ready.get(r, 0.0) for r in waits)])
        busy, beats = _base(one, timing, bound), at(timing.vector, bound)
        for register in one.writes:
            if register[0] == "q" or register in one.address_registers:
                ready[register] = start + 1
            else:                           # a sum over lanes is there after its last beat
                ready[register] = start + (beats + 1 if one.is_vector else _latency(one, timing, bound))
        free[pipe] = start + (beats if one.is_vector else busy)
        now = start + (1.0 if one.is_vector else busy)
    return max(now, *free.values())


def _pipe(one: Instruction) -> str:
    if one.class_ in ("load", "store"):
        return "memory"
    return "multiply" if one.is_vector and one.class_ == "mac" else "vector" if one.is_vector else "scalar"
