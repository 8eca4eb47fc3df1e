# SPDX-License-Identifier: Apache-2.0
"""Steps of one topology for many genotypes at once: bytes live and work wasted, as arrays over the genotypes.

Streams and lifetimes depend on rows, not on widths, so one representative genotype gives every segment's structure; the
compiler's own cutter finds it. What follows from widths is arithmetic on arrays, and checked against the compiler's
figure for the representative. M is the number of genotypes, all of one form (layers.Layer.form).
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mcunas.compiler.effort import CALL
from mcunas.compiler.lifetime import Program
from mcunas.compiler.lower import RowInput
from mcunas.compiler.schedule import LONGEST_STREAM, TICK_ROWS, Cutter, Step
from mcunas.cost.layers import Layer
from mcunas.cost.skeleton import Skeleton
from mcunas.graph.ir import ITEM_BYTES


def aligned(size_bytes: np.ndarray) -> np.ndarray:
    return -(-size_bytes // 4) * 4


@dataclass(frozen=True, eq=False)
class Columns:
    """The numbers of M genotypes, all int64 (M,): raw bytes per storage; per op scratch and effort; per op with rows: bytes
    per output row, block, and per input (bytes per row, turn work); per op and input (input above, output above)."""

    raw: dict[int, np.ndarray]
    scratch: list[np.ndarray]
    effort: list[np.ndarray]
    row_bytes: dict[int, np.ndarray]
    block_bytes: dict[int, np.ndarray]
    inputs: dict[int, list[tuple[np.ndarray, np.ndarray]]]
    overlaps: dict[int, list[tuple[np.ndarray | None, np.ndarray | None]]]

    @staticmethod
    def of(program: Program, skeleton: Skeleton, widths: np.ndarray,
           layers: Sequence[tuple[Sequence[Layer], np.ndarray]]) -> Columns:
        """layers: per op its distinct layers and, per genotype, which of them it has. widths (M, G)."""
        columns = list(widths.T)
        count = len(widths)

        def each(op: int, value) -> np.ndarray:
            distinct, which = layers[op]
            return np.array([value(layer) for layer in distinct], np.int64)[which]

        raw = {}
        for root in set(program.storage.values()):
            size = ITEM_BYTES[skeleton.graph.tensors[root].dtype]
            for dim in skeleton.shape(root, columns):
                size = size * dim
            raw[root] = np.broadcast_to(np.asarray(size, np.int64), count)
        ops = range(len(program.calls))
        single = [i for i in ops if len(program.calls[i]) == 1]
        rowed = [i for i in single if program.calls[i][0].rows]
        return Columns(
            raw, [each(i, lambda x: x.scratch_bytes) for i in ops], [each(i, lambda x: x.effort) for i in ops],
            {i: each(i, lambda x: x.calls[0].rows.row_bytes) for i in rowed},
            {i: each(i, lambda x: x.calls[0].rows.block_bytes) for i in rowed},
            {i: [(each(i, lambda x, p=p: x.calls[0].rows.inputs[p].row_bytes),
                  each(i, lambda x, p=p: x.calls[0].rows.inputs[p].turn_work))
                 for p in range(len(program.calls[i][0].rows.inputs))] for i in rowed},
            {i: [(None if o.input_above is None else each(i, lambda x, p=p: x.calls[0].overlap[p].input_above),
                  None if o.output_above is None else each(i, lambda x, p=p: x.calls[0].overlap[p].output_above))
                 for p, o in enumerate(program.calls[i][0].overlap)] for i in single})

    @cached_property
    def size(self) -> dict[int, np.ndarray]:
        return {root: aligned(raw) for root, raw in self.raw.items()}


@dataclass(frozen=True, eq=False)
class Segment:
    """Positions first..last-1 of the order as one step. step: of the representative. live_bytes, waste (M,).

    gaps: storage of a dying input -> distances (input above, output above) at which the output may share its bytes.
    """

    first: int
    last: int
    step: Step
    live_bytes: np.ndarray
    waste: np.ndarray
    gaps: dict[int, tuple[np.ndarray | None, np.ndarray | None]]
    ring_bytes: dict[int, np.ndarray]


class Segments:
    """All steps that one order of one form can be cut into."""

    def __init__(self, program: Program, columns: Columns, order: tuple[int, ...]) -> None:
        self.program, self.columns, self.order = program, columns, order
        self.cutter = Cutter(program, order)
        count = len(order)
        self.found = [segment for j in range(1, count + 1) for i in range(max(0, j - LONGEST_STREAM), j)
                      for rows in (TICK_ROWS if j > i + 1 else TICK_ROWS[:1])
                      if (segment := self._segment(i, j, rows)) is not None]

    def _segment(self, i: int, j: int, tick_rows: int) -> Segment | None:
        step = self.cutter.segment(i, j, tick_rows)
        if step is None:
            return None
        program, c, dies, born = self.program, self.columns, self.cutter.dies, self.cutter.born
        written = [r for r in program.writes(step.ops[-1]) if born[r] >= i]
        out_bytes = sum(c.size[r] for r in written)
        live = out_bytes + sum(c.size[r] for r, end in dies.items() if born[r] < i and end >= j)
        live = live + sum(c.size[r] for r in step.dying) + np.max([c.scratch[op] for op in step.ops], axis=0)
        rings = {}
        if step.stream:
            writer = {program.graph.ops[op].outputs[0]: op for op in step.ops}
            rings = {t: aligned(rows * c.row_bytes[writer[t]]) for t, rows in step.stream.rings.items()}
        gaps = {r: g for r, g in self._gaps(step).items() if r in step.dying and written}
        shared = [self.saving(c.size[r], out_bytes, *g) for r, g in gaps.items()]
        live = live + sum(rings.values()) - (np.max(shared, axis=0) if shared else 0)
        waste = self._waste(step) if step.stream else np.zeros_like(live)
        expected = step.live_bytes, step.stream.extra_work if step.stream else 0
        assert (live[0], waste[0]) == expected, "the compiler's planner counts otherwise than this module"
        return Segment(i, j, step, live, waste, gaps, rings)

    @staticmethod
    def saving(input_bytes: np.ndarray, out_bytes: Any, up: np.ndarray | None, down: np.ndarray | None) -> np.ndarray:
        best = apart = input_bytes + out_bytes
        if up is not None:
            best = np.minimum(best, np.maximum(aligned(np.maximum(up, 0)) + input_bytes, out_bytes))
        if down is not None:
            best = np.minimum(best, np.maximum(aligned(np.maximum(down, 0)) + out_bytes, input_bytes))
        return apart - best

    def _gaps(self, step: Step) -> dict[int, tuple[np.ndarray | None, np.ndarray | None]]:
        """Storage of a full input -> how the step's output may overwrite it (stream.gaps, lifetime.overlaps)."""
        program, c, last = self.program, self.columns, len(step.ops) - 1
        allowed = step.stream.overlaps if step.stream else program.overlaps(step.ops[0])
        inner = {program.graph.ops[op].outputs[0] for op in step.ops[:-1]}
        found: dict[int, list[tuple[np.ndarray | None, np.ndarray | None]]] = {}
        for stage, op in enumerate(step.ops):
            for position, t in enumerate(program.calls[op][0].inputs if program.calls[op] else ()):
                root = program.storage.get(t)
                if root not in allowed or t in inner:
                    continue
                if stage == last:
                    own = c.overlaps[op]
                    found.setdefault(root, []).append(own[position] if position < len(own) else (None, None))
                else:
                    found.setdefault(root, []).append(self._gap(step, stage, position))
        result = {}
        for root, gaps in found.items():
            known = (allowed[root].input_above, allowed[root].output_above)
            result[root] = tuple(None if known[way] is None else np.max([g[way] for g in gaps], axis=0) for way in (0, 1))
        return result

    def _gap(self, step: Step, stage: int, position: int) -> tuple[np.ndarray, np.ndarray]:
        """Largest lead of the writes of the stream's output over the reads of an input, upwards and downwards."""
        c, reader, writer = self.columns, step.ops[stage], step.ops[-1]
        how = self.program.calls[reader][0].rows.inputs[position]
        total, out_rows = (self.program.calls[op][0].rows.count for op in (reader, writer))
        out, source = c.row_bytes[writer], c.inputs[reader][position][0]
        behind = (total - 1) * how.stride + how.reach - how.before - how.rows
        up = self._lead(step.stream.upwards, stage, how, how.before, total, out, source)
        down = self._lead(step.stream.downwards, stage, how, behind, total, out, source)
        return up, down + how.rows * source - out_rows * out

    @staticmethod
    def _lead(ticks: Sequence[Sequence[int]], stage: int, how: RowInput, before: int, total: int, out: np.ndarray,
              source: np.ndarray) -> np.ndarray:
        most: dict[int, int] = {}                           # lowest row still to be read -> rows written by then
        for after in ticks[1:]:
            if after[stage] < total:
                low = max(0, after[stage] * how.stride - before)
                most[low] = max(most.get(low, 0), after[-1])
        if not most:
            return np.zeros_like(out)
        return np.max([rows * out - low * source for low, rows in hull(most)], axis=0)

    def _waste(self, step: Step) -> np.ndarray:
        """stream.extra_work: effort.by_rows of every stage, and the loop."""
        total: Any = CALL
        for stage, op in enumerate(step.ops):
            rows, call, c = self.program.calls[op][0].rows, self.program.calls[op][0], self.columns
            done = [tick[stage] for tick in step.stream.upwards]
            counts = Counter(later - earlier for earlier, later in zip(done, done[1:]) if later > earlier)
            row_bytes, block = c.row_bytes[op], c.block_bytes[op]
            idle = sum(times * (-n * row_bytes % block) for n, times in counts.items()) - -rows.count * row_bytes % block
            turns: Any = 0
            for (_, work), how, t in zip(c.inputs[op], rows.inputs, call.inputs):
                ring = step.stream.rings.get(t)
                if ring:
                    first = (max(0, y * how.stride - how.before) for y in range(rows.count))
                    turns = turns + work * sum(row % ring + how.reach > ring for row in first)
            per_byte = c.effort[op] / (rows.count * row_bytes)
            extra = np.rint((sum(counts.values()) - 1) * CALL + idle * per_byte).astype(np.int64)
            total = total + extra + turns
        return total


def hull(points: dict[int, int]) -> list[tuple[int, int]]:
    """The (low, rows) that maximize rows * a - low * b for some a, b > 0."""
    hull: list[tuple[int, int]] = []
    for low, rows in sorted(points.items()):
        if hull and rows <= hull[-1][1]:
            continue
        while len(hull) > 1 and ((hull[-1][1] - hull[-2][1]) * (low - hull[-2][0])
                                 <= (rows - hull[-2][1]) * (hull[-1][0] - hull[-2][0])):
            hull.pop()
        hull.append((low, rows))
    return hull
