# SPDX-License-Identifier: Apache-2.0
"""RAM, flash and cycles of thousands of genotypes of one network, without compiling them one by one.

Layers are looked at once per shape (layers.py), steps and placements are worked out for all genotypes together
(segments.py, cuts.py, placing.py), and the figures are the compiler's own: `Priced` of a genotype says the same.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from mcunas.compiler.joining import joinable, places
from mcunas.compiler.lifetime import Program, aligned
from mcunas.compiler.order import best_order
from mcunas.compiler.place import place
from mcunas.compiler.schedule import Buffer, Schedule
from mcunas.compiler.tables import code_table
from mcunas.cost.cuts import best_cuts
from mcunas.cost.estimate import Work, stream_extras, stream_table_bytes
from mcunas.cost.laws import Law
from mcunas.cost.layers import Layer, Layers
from mcunas.cost.placing import arenas
from mcunas.cost.segments import Columns, Segment, Segments
from mcunas.cost.skeleton import Axis, Skeleton
from mcunas.graph.ir import ITEM_BYTES

if TYPE_CHECKING:
    from mcunas.board import Board


@dataclass(frozen=True, eq=False)
class Prices:
    """Of N genotypes. ram_bytes: the arena, exact where ram_is_exact, else one that suffices. flash_bytes: the model's
    share. instructions, cycles: by the core's model. live_bytes (N, ops): while each op runs; their maximum is the bound
    that ram_bytes meets or exceeds."""

    ram_bytes: np.ndarray
    ram_is_exact: np.ndarray
    flash_bytes: np.ndarray
    instructions: np.ndarray
    cycles: np.ndarray
    live_bytes: np.ndarray


class Pricer:
    """Prices the genotypes of one Skeleton on one board, as compiled for the goal `balanced`."""

    def __init__(self, skeleton: Skeleton, board: Board, ram_bytes: int | None = None) -> None:
        """ram_bytes: the arena's limit, as given to the compiler; default: what the board has."""
        self.skeleton, self.board = skeleton, board
        self.limit_bytes = min(ram_bytes or board.ram_bytes, board.ram_bytes)
        self.layers = Layers(skeleton, board)

    def many(self, widths: Any, search_arenas: bool = False, first_schedule: bool = False) -> Prices:
        """widths (N, G): integers. search_arenas: make RAM exact everywhere; slow where placements are hard to find.

        first_schedule: live_bytes are those under the first genotype's schedule, where the others can have it.
        """
        widths = np.asarray(widths, np.int64)
        best, peaks = self._prices(widths, (), search_arenas, first_schedule)
        kept, copying = dict.fromkeys(range(len(widths)), ()), peaks.copy()
        can = self.joinable
        for more in [can, *((index,) for index in can)] if len(can) > 1 else [can] * len(can):
            left = [k for k in kept if kept[k] != can]
            for joined in sorted({(*kept[k], *more) for k in left if not set(kept[k]) & set(more)}):
                rows = np.array([k for k in left if (*kept[k], *more) == joined])
                other, peaks = self._prices(widths[rows], joined, search_arenas, first_schedule and rows[0] == 0)
                better = peaks <= copying[rows]
                for name, values in vars(other).items():
                    getattr(best, name)[rows[better]] = values[better]
                kept.update(dict.fromkeys(rows[better].tolist(), joined))
        return best

    @cached_property
    def joinable(self) -> tuple[int, ...]:
        """Concatenations and slices that need not copy (joining.joinable)."""
        full = self.skeleton.full
        calls = (self.layers.calls(op, self.layers.at(op, full), full) for op in range(len(self.skeleton.graph.ops)))
        return joinable(Program.with_calls(self.skeleton.at(full), tuple(calls)))

    def _prices(self, widths: np.ndarray, joined: tuple[int, ...], search_arenas: bool,
                first_schedule: bool) -> tuple[Prices, np.ndarray]:
        """(prices, least peak bytes that the goal allows) with some ops joined; peaks that are beyond all
        bounds where that cannot be."""
        found = [self._distinct(op, widths, joined) for op in range(len(self.skeleton.graph.ops))]
        ram, flash, count = np.zeros(len(widths), np.int64), np.zeros(len(widths), np.int64), np.zeros(len(widths))
        cycles, peaks = np.zeros(len(widths)), np.full(len(widths), np.iinfo(np.int64).max)
        exact, live = np.zeros(len(widths), bool), np.zeros((len(widths), len(found)), np.int64)
        for same in self._forms(found) if all(layers for layers, _ in found) else []:
            for rows, order in self._orders(same, widths, found, joined):
                group = _Group(self, widths[rows], [_used(layers, which[rows]) for layers, which in found], order, joined)
                ram[rows], exact[rows] = group.ram(search_arenas)
                flash[rows], count[rows], cycles[rows] = group.flash(), group.work(0), group.work(1)
                live[rows] = group.live_bytes(at_first=first_schedule and rows[0] == 0)
                peaks[rows] = group.peak_bytes
        return Prices(ram, exact, flash, count, cycles, live), peaks

    def _distinct(self, op: int, widths: np.ndarray, joined: tuple[int, ...]) -> tuple[list[Layer], np.ndarray]:
        """(the op's layers at all widths, which of them each genotype has); no layers where one cannot be joined."""
        parts, ends = places(self.skeleton.graph, joined) or {}, self.skeleton.graph.ops[op]
        if op in joined:
            return [Layer((), 0, Work((0.0, 0.0), (0.0, 0.0)), 0, 0)], np.zeros(len(widths), np.int64)
        wholes = [next((parts[t][0] for t in side if t in parts), None) for side in (ends.inputs, ends.outputs)]
        groups = sorted({*self.layers.groups[op], *(g for t in wholes if t is not None for g, _, _ in
                         self.skeleton.axes.get(t, {}).get(3, Axis(())).segments if g >= 0)})
        seen, which = np.unique(widths[:, groups], axis=0, return_inverse=True)
        law = Law.of(self.layers, op, seen) if len(groups) == 2 and wholes == [None, None] else None
        if law:
            return [law.at(*pair) for pair in seen.tolist()], which.reshape(-1)
        full = list(self.skeleton.full)
        layers = []
        for row in seen.tolist():
            for group, width in zip(groups, row):
                full[group] = width
            layer = self.layers.at(op, full)
            if wholes != [None, None]:
                steps = tuple(self.skeleton.shape(t, full)[3] if t is not None else None for t in wholes)
                layer = self.layers.spaced(op, layer, full, steps)
            layers.append(layer)
        return ([] if None in layers else layers), which.reshape(-1)

    @staticmethod
    def _forms(found: Sequence[tuple[list[Layer], np.ndarray]]) -> list[np.ndarray]:
        """Genotypes whose layers are all of the same forms, as rows of indices."""
        codes = []
        for layers, which in found:
            known: dict[tuple, int] = {}
            codes.append(np.array([known.setdefault(layer.form, len(known)) for layer in layers])[which])
        _, code = np.unique(np.array(codes).T, axis=0, return_inverse=True)
        return [np.flatnonzero(code.reshape(-1) == k) for k in range(code.max() + 1)]


    def _orders(self, rows: np.ndarray, widths: np.ndarray, found: Sequence[tuple[list[Layer], np.ndarray]],
                joined: tuple[int, ...]) -> list[tuple[np.ndarray, tuple[int, ...]]]:
        """Genotypes of one form by the order in which the compiler runs their ops."""
        if self.is_chain:
            return [(rows, tuple(range(len(found))))]
        known: dict[tuple[int, ...], list[int]] = {}
        calls = [[self.layers.calls(op, layer) for layer in layers] for op, (layers, _) in enumerate(found)]
        graph = self.skeleton.at(widths[rows[0]].tolist())
        base = Program.with_calls(graph, tuple(c[0] for c in calls), places(graph, joined) or {})
        for row in rows.tolist():
            program = Program(base.graph, tuple(c[which[row]] for c, (_, which) in zip(calls, found)), base.storage)
            size = {root: prod(self.skeleton.shape(root, widths[row].tolist())) * ITEM_BYTES[base.graph.tensors[root].dtype]
                    for root in set(base.storage.values())}
            program.__dict__["size"] = {root: aligned(size_bytes) for root, size_bytes in size.items()}
            known.setdefault(best_order(program), []).append(row)
        return [(np.array(members), order) for order, members in known.items()]

    @cached_property
    def is_chain(self) -> bool:
        """Whether the ops can run in one order only."""
        producer = self.skeleton.graph.producer()
        return all(any(producer.get(t) == i - 1 for t in op.inputs) for i, op in enumerate(self.skeleton.graph.ops) if i)


def _used(layers: list[Layer], which: np.ndarray) -> tuple[list[Layer], np.ndarray]:
    """The layers that occur, and which of them each genotype has."""
    kept, which = np.unique(which, return_inverse=True)
    return [layers[k] for k in kept], which.reshape(-1)


class _Group:
    """Genotypes of one form whose ops run in one order."""

    def __init__(self, pricer: Pricer, widths: np.ndarray, layers: list[tuple[list[Layer], np.ndarray]],
                 order: tuple[int, ...], joined: tuple[int, ...]) -> None:
        self.layers, self.board = layers, pricer.board
        graph = pricer.skeleton.at(widths[0].tolist())
        calls = tuple(pricer.layers.calls(op, distinct[which[0]]) for op, (distinct, which) in enumerate(layers))
        self.program = Program.with_calls(graph, calls, places(graph, joined) or {})
        self.columns = Columns.of(self.program, pricer.skeleton, widths, layers)
        self.segments = Segments(self.program, self.columns, order)
        peak, used = best_cuts(self.segments.found, len(graph.ops), np.sum(self.columns.effort, axis=0),
                               pricer.limit_bytes)
        self.peak_bytes, self.cuts = peak, []
        distinct, which = np.unique(used, axis=0, return_inverse=True)
        for k, cut in enumerate(distinct):
            steps = [self.segments.found[s] for s in cut if s >= 0]
            self.cuts.append((np.flatnonzero(which.reshape(-1) == k), steps))

    def ram(self, search: bool) -> tuple[np.ndarray, np.ndarray]:
        ram, exact = np.zeros_like(self.peak_bytes), np.zeros(len(self.peak_bytes), bool)
        for rows, steps in self.cuts:
            schedule = Schedule(self.program, tuple(s.step for s in steps))
            sizes = np.array([self._buffer_bytes(b, steps)[rows] for b in schedule.buffers]).T
            spans = [(b.first, b.last) for b in schedule.buffers]
            distances = {pair: gap[rows] for pair, gap in self._distances(schedule, steps).items()}
            scratch = [not b.tensors for b in schedule.buffers]
            ram[rows], exact[rows] = arenas(sizes, spans, scratch, self.peak_bytes[rows], distances)
            for m in np.flatnonzero(~exact[rows]) if search else ():
                buffers = [Buffer(b.name, b.tensors, int(n), b.first, b.last) for b, n in zip(schedule.buffers, sizes[m])]
                near = {pair: int(gap[m]) for pair, gap in distances.items()}
                ram[rows[m]], exact[rows[m]] = place(buffers, int(self.peak_bytes[rows[m]]), near)[0], True
        return ram, exact

    def live_bytes(self, at_first: bool) -> np.ndarray:
        """(M, ops). at_first: under the cut of the first genotype."""
        live = np.zeros((len(self.peak_bytes), len(self.layers)), np.int64)
        for rows, steps in self.cuts:
            chosen = slice(None) if at_first else rows
            if not at_first or 0 in rows:
                for segment in steps:
                    for op in segment.step.ops:
                        live[chosen, op] = segment.live_bytes[chosen]
        return live

    def _buffer_bytes(self, buffer: Buffer, steps: list[Segment]) -> np.ndarray:
        if not buffer.tensors:
            return np.max([self.columns.scratch[op] for op in steps[buffer.first].step.ops], axis=0)
        tensor = buffer.tensors[0]
        ring = steps[buffer.first].ring_bytes.get(tensor)
        return self.columns.raw[self.program.storage[tensor]] if ring is None else ring

    def _distances(self, schedule: Schedule, steps: list[Segment]) -> dict[tuple[int, int], np.ndarray]:
        """schedule.distances for every genotype; where several inputs lie under one output, the direction differs."""
        home = {t: i for i, b in enumerate(schedule.buffers) for t in b.tensors}
        found = {}
        for segment in steps:
            last = segment.step.ops[-1]
            out = home[self.program.graph.ops[last].outputs[0]] if segment.gaps else -1
            upwards, downwards = self._ways(segment)
            for root, (up, down) in segment.gaps.items():
                source, far = home[root], np.int64(1) << 40
                if up is not None:
                    found[source, out] = np.where(upwards, -(-np.maximum(up, 0) // 4) * 4, far)
                if down is not None:
                    found[out, source] = np.where(downwards, -(-np.maximum(down, 0) // 4) * 4, far)
        return found

    def _ways(self, segment: Segment) -> tuple[np.ndarray | bool, np.ndarray | bool]:
        """Where the output may overwrite inputs upwards, downwards (lifetime.one_way)."""
        if len(segment.gaps) < 2:
            return True, True
        out = sum(self.columns.size[r] for r in self.program.writes(segment.step.ops[-1]))
        most = [np.max([Segments.saving(self.columns.size[r], out, *(g if way == k else None for k, g in enumerate(gap)))
                        for r, gap in segment.gaps.items()], axis=0) for way in (0, 1)]
        return most[0] >= most[1], most[0] < most[1]

    def _each(self, op: int, value) -> np.ndarray:
        distinct, which = self.layers[op]
        return np.array([value(layer) for layer in distinct])[which]

    def flash(self) -> np.ndarray:
        """estimate.flash: tables and parameters, code of the distinct kernels, calls, streams. Kernels are the form's."""
        prices = code_table(self.board)
        calls = [call for found in self.program.calls for call in found]
        fixed = prices.linked({call.kernel for call in calls})
        fixed += sum(prices.params(call.kernel) + prices.call_bytes for call in calls)
        total: Any = fixed + sum(self._each(op, lambda layer: layer.table_bytes) for op in range(len(self.layers)))
        for rows, steps in self.cuts:
            streams = [s.step.stream for s in steps if s.step.stream]
            total[rows] += sum(stream_table_bytes(s) + prices.stage_bytes * len(s.ops) for s in streams)
            total[rows] += prices.stream_bytes * len(streams)
        return total

    def work(self, what: int) -> np.ndarray:
        """estimate.work: instructions (0) or cycles (1)."""
        per_turn = (1.0, self.board.cycle_model.cycles_per_instruction)[what]
        total: Any = sum(self._each(op, lambda layer: layer.work.whole[what]) for op in range(len(self.layers)))
        for rows, steps in self.cuts:
            for stream in (s.step.stream for s in steps if s.step.stream):
                for op, calls, turns in stream_extras(self.program, stream):
                    total[rows] += calls * self._each(op, lambda layer: layer.work.per_call[what])[rows]
                    for position, crossing in turns:
                        total[rows] += crossing * self.columns.inputs[op][position][1][rows] * per_turn
        return total
