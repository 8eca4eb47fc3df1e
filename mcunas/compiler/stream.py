# SPDX-License-Identifier: Apache-2.0
"""Streaming: consecutive ops executed row by row, so that the tensors between them never exist in full.

One tick computes one row of the last op; every op before it first computes the rows that this needs and that are not
there yet, so nothing is computed twice. Between two ops lies a ring buffer of just the rows that are still needed. The
output may overwrite rows of the group's input that no later tick reads.
"""
from __future__ import annotations

from dataclasses import dataclass

from mcunas.compiler.lifetime import Program, aligned
from mcunas.compiler.lower import Overlap, RowInput


@dataclass(frozen=True, eq=False)
class Stream:
    """ops: the stages, the last one writes the output. until[tick][stage]: rows done after the tick.

    rings: tensor between stages -> rows its buffer holds. overlaps: storage of a full input -> how the output may
    overwrite it. calls: kernel calls of one inference.
    """

    ops: tuple[int, ...]
    until: tuple[tuple[int, ...], ...]
    rings: dict[int, int]
    overlaps: dict[int, Overlap]
    calls: int

    def ring_bytes(self, program: Program) -> dict[int, int]:
        """Tensor -> aligned bytes of its ring."""
        graph = program.graph
        rows = {graph.ops[i].outputs[0]: program.calls[i][0].rows for i in self.ops}
        return {t: aligned(count * rows[t].row_bytes) for t, count in self.rings.items()}


def streamable(program: Program, op_index: int) -> bool:
    calls = program.calls[op_index]
    return len(calls) == 1 and calls[0].rows is not None


def _needed(source: RowInput, done: int) -> int:
    """Input rows that must exist for `done` output rows."""
    return max(0, min(source.rows, (done - 1) * source.stride - source.before + source.reach)) if done else 0


def _lowest(source: RowInput, done: int) -> int:
    """Lowest input row that output rows from `done` on read."""
    return max(0, done * source.stride - source.before)


def stream(program: Program, ops: tuple[int, ...]) -> Stream | None:
    """The row schedule of `ops` (at least two, in execution order), or None when they cannot be streamed together.

    All but the last output must be read inside the group only.
    """
    graph = program.graph
    if not all(streamable(program, i) for i in ops):
        return None
    stage_of = {graph.ops[i].outputs[0]: s for s, i in enumerate(ops)}
    rows = [program.calls[i][0].rows for i in ops]
    inner: list[list[tuple[int, RowInput]]] = [[] for _ in ops]      # per stage: (reader, how it reads)
    outer: list[tuple[int, int, RowInput, Overlap]] = []             # (storage, reader, how, overlap if it is last)
    for s, i in enumerate(ops):
        call = program.calls[i][0]
        for position, t in enumerate(call.inputs):
            if t in stage_of:
                if rows[stage_of[t]].count != rows[s].inputs[position].rows:
                    return None
                inner[stage_of[t]].append((s, rows[s].inputs[position]))
            elif t in program.storage:
                outer.append((program.storage[t], s, rows[s].inputs[position], call.overlap_with(position)))
    last = len(ops) - 1
    if any(not readers for readers in inner[:last]):
        return None
    until = [[0] * len(ops)]
    for tick in range(1, rows[last].count + 1):
        done = list(until[-1])
        done[last] = tick
        for s in reversed(range(last)):
            done[s] = max(done[s], *(_needed(how, done[reader]) for reader, how in inner[s]))
        until.append(done)
    rings = {graph.ops[ops[s]].outputs[0]: _ring(until, s, inner[s], rows[s].count) for s in range(last)}
    overlaps = _overlaps(until, outer, last, rows)
    calls = sum(a != b for before, after in zip(until, until[1:]) for a, b in zip(before, after))
    return Stream(ops, tuple(tuple(u) for u in until), rings, overlaps, calls)


def _ring(until: list[list[int]], stage: int, readers: list[tuple[int, RowInput]], count: int) -> int:
    """Rows between the newest one written and the lowest one still to be read, at their most."""
    most = 0
    for before, after in zip(until, until[1:]):
        lowest = min((_lowest(how, before[r]) for r, how in readers), default=0)
        most = max(most, after[stage] - lowest)
    return max(1, min(count, most))


def _overlaps(until: list[list[int]], outer: list[tuple[int, int, RowInput, Overlap]], last: int,
              rows: list) -> dict[int, Overlap]:
    gaps: dict[int, int | None] = {}
    for storage, reader, how, overlap in outer:
        if reader == last:
            gap = overlap.input_above
        else:
            total = rows[reader].count
            gap = max((after[last] * rows[last].row_bytes - _lowest(how, after[reader]) * how.row_bytes
                       for after in until[1:] if after[reader] < total), default=0)
        known = gaps.get(storage, 0)
        gaps[storage] = None if gap is None or known is None else max(known, gap)
    return {storage: Overlap(gap) for storage, gap in gaps.items() if gap is not None}
