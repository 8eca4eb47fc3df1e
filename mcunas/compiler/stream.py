# SPDX-License-Identifier: Apache-2.0
"""Streaming: consecutive ops executed row by row, so that the tensors between them never exist in full.

One tick computes a row of the last op, or a few, which takes fewer calls and longer rings; every op before it first
computes the rows that this needs and that are not there yet, so nothing is computed twice. Between two ops lies a ring
buffer of just the rows that are still needed. The output may overwrite rows of the group's input that no later tick
reads. A stream can run from the first row to the last or the other way round; the planner takes the direction in which
the output's place is free.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

from mcunas.compiler.effort import CALL, by_rows
from mcunas.compiler.lifetime import Program, aligned
from mcunas.compiler.lower import Overlap, RowInput, Rows

Ticks = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class Stream:
    """ops: the stages, the last one writes the output. upwards, downwards: [tick][stage] -> rows done after the tick.

    rings: tensor between stages -> rows its buffer holds. overlaps: storage of a full input -> how the output may
    overwrite it. extra_work: what running by rows costs more than whole ops (effort.py).
    """

    ops: tuple[int, ...]
    upwards: Ticks
    downwards: Ticks
    rings: dict[int, int]
    overlaps: dict[int, Overlap]
    extra_work: int

    def ring_bytes(self, program: Program) -> dict[int, int]:
        """Tensor -> aligned bytes of its ring."""
        graph = program.graph
        rows = {graph.ops[i].outputs[0]: program.calls[i][0].rows for i in self.ops}
        return {t: aligned(count * rows[t].row_bytes) for t, count in self.rings.items()}


def streamable(program: Program, op_index: int) -> bool:
    calls = program.calls[op_index]
    return len(calls) == 1 and calls[0].rows is not None


def stream(program: Program, ops: tuple[int, ...], tick_rows: int = 1) -> Stream | None:
    """The row schedule of `ops` (at least two, in execution order), or None when they cannot be streamed together.

    tick_rows: of the last op, computed at once. All but the last output must be read inside the group only.
    """
    if not all(streamable(program, i) for i in ops):
        return None
    graph = program.graph
    stage_of = {graph.ops[i].outputs[0]: s for s, i in enumerate(ops)}
    rows = [program.calls[i][0].rows for i in ops]
    inner: list[tuple[int, int, RowInput]] = []                      # (writer, reader, how)
    outer: list[tuple[int, int, RowInput, Overlap]] = []             # (storage, reader, how, overlap if it is last)
    for s, i in enumerate(ops):
        call = program.calls[i][0]
        for position, t in enumerate(call.inputs):
            how = rows[s].inputs[position] if t in program.storage else None
            if t in stage_of:
                if rows[stage_of[t]].count != how.rows:
                    return None
                inner.append((stage_of[t], s, how))
            elif how is not None:
                outer.append((program.storage[t], s, how, call.overlap_with(position)))
    if {writer for writer, _, _ in inner} != set(range(len(ops) - 1)):
        return None
    up = _Walk(rows, inner, outer, tick_rows, mirrored=False)
    down = _Walk(rows, inner, outer, tick_rows, mirrored=True)
    rings = {graph.ops[ops[s]].outputs[0]: max(up.ring(s), down.ring(s)) for s in range(len(ops) - 1)}
    above, below = up.gaps(), down.gaps()
    overlaps = {storage: Overlap(above[storage], below[storage]) for storage in above}
    extra = CALL        # the loop and its table, even where one tick does it all
    for s, i in enumerate(ops):
        call = program.calls[i][0]
        extra += by_rows(call, [done[s] for done in up.ticks], [rings.get(t) for t in call.inputs])
    return Stream(ops, up.ticks, down.ticks, rings,
                  {storage: overlap for storage, overlap in overlaps.items() if overlap != Overlap()}, extra)


class _Walk:
    """One direction. Mirrored, row r stands for the r-th row from the bottom and the paddings change places."""

    def __init__(self, rows: list[Rows], inner: list[tuple[int, int, RowInput]],
                 outer: list[tuple[int, int, RowInput, Overlap]], tick_rows: int, mirrored: bool) -> None:
        def turned(reader: int, how: RowInput) -> RowInput:
            behind = (rows[reader].count - 1) * how.stride + how.reach - how.before - how.rows
            return replace(how, before=behind) if mirrored else how

        self.rows, self.mirrored, self.last = rows, mirrored, len(rows) - 1
        self.inner = [(w, r, turned(r, how)) for w, r, how in inner]
        self.outer = [(storage, r, turned(r, how), overlap) for storage, r, how, overlap in outer]
        ticks = [[0] * len(rows)]
        while ticks[-1][self.last] < rows[self.last].count:
            done = list(ticks[-1])
            done[self.last] = min(done[self.last] + tick_rows, rows[self.last].count)
            for writer, reader, how in sorted(self.inner, key=lambda edge: -edge[1]):    # readers settle first
                done[writer] = max(done[writer], _needed(how, done[reader]))
            ticks.append(done)
        self.ticks: Ticks = tuple(map(tuple, ticks))

    def ring(self, stage: int) -> int:
        """Rows between the newest one written and the lowest one still to be read, at their most."""
        readers = [(r, how) for w, r, how in self.inner if w == stage]
        most = max(after[stage] - min(_lowest(how, before[r]) for r, how in readers)
                   for before, after in zip(self.ticks, self.ticks[1:]))
        return max(1, min(self.rows[stage].count, most))

    def gaps(self) -> dict[int, int | None]:
        """Storage of a full input -> least distance to the output in this direction; None: they may not overlap."""
        found: dict[int, int | None] = {}
        for storage, reader, how, overlap in self.outer:
            gap = self._gap(reader, how, overlap)
            known = found.get(storage, gap)
            found[storage] = None if gap is None or known is None else max(known, gap)
        return found

    def _gap(self, reader: int, how: RowInput, overlap: Overlap) -> int | None:
        if reader == self.last:         # reads and writes alternate inside one kernel, which knows its own distance
            return overlap.output_above if self.mirrored else overlap.input_above
        out, total = self.rows[self.last], self.rows[reader].count
        gap = max((after[self.last] * out.row_bytes - _lowest(how, after[reader]) * how.row_bytes
                   for after in self.ticks[1:] if after[reader] < total), default=0)
        return gap + how.rows * how.row_bytes - out.count * out.row_bytes if self.mirrored else gap


def _needed(source: RowInput, done: int) -> int:
    """Input rows that must exist for `done` output rows."""
    return max(0, min(source.rows, (done - 1) * source.stride - source.before + source.reach)) if done else 0


def _lowest(source: RowInput, done: int) -> int:
    """Lowest input row that output rows from `done` on read."""
    return max(0, done * source.stride - source.before)
