# SPDX-License-Identifier: Apache-2.0
"""What single layers take, at any widths: looked at one by one through the compiler's lowering, and remembered.

A network of a Skeleton is priced thousands of times during a search; its layers repeat. A layer is what the planner and
the prices need to know of its kernel calls, without their tables.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from mcunas.compiler.effort import whole
from mcunas.compiler.features import op_features
from mcunas.compiler.lifetime import aligned
from mcunas.compiler.lower import ROOMY, KernelCall, Table, candidates, lower
from mcunas.compiler.select import fastest
from mcunas.compiler.tables import instruction_table
from mcunas.cost.estimate import Work, op_work
from mcunas.cost.skeleton import Skeleton
from mcunas.graph.ir import Graph

if TYPE_CHECKING:
    from mcunas.board import Board


@dataclass(frozen=True, eq=False)
class Layer:
    """calls: without parameters, tensors by their place among the op's own. table_bytes: aligned. effort: effort.py's."""

    calls: tuple[KernelCall, ...]
    table_bytes: int
    work: Work
    effort: int
    scratch_bytes: int

    @cached_property
    def form(self) -> tuple:
        """What the planner's choices depend on besides sizes: layers of one form are streamed alike."""
        return tuple((call.kernel, call.images, call.scratch_bytes > 0,
                      tuple((o.input_above is None, o.output_above is None) for o in call.overlap),
                      call.rows and (call.rows.count, tuple((r.rows, r.stride, r.before, r.reach, r.turn_work > 0)
                                                            for r in call.rows.inputs))) for call in self.calls)


class Layers:
    """The layers of one Skeleton on one board. groups: per op, the channel groups that its shapes depend on."""

    def __init__(self, skeleton: Skeleton, board: Board) -> None:
        self.skeleton, self.board = skeleton, board
        ops, tensors, axes = skeleton.graph.ops, skeleton.graph.tensors, skeleton.axes
        self.places = [tuple(dict.fromkeys(t for t in (*op.inputs, *op.outputs) if t >= 0)) for op in ops]
        self.groups = [sorted({g for t in places for axis in axes.get(t, {}).values() for g, _, _ in axis.segments
                               if g >= 0}) for places in self.places]
        self._same = []
        for op, places in zip(ops, self.places):
            fixed = tuple(tensors[t].data.tobytes() if tensors[t].is_const and t not in axes else
                          tensors[t].quant and tensors[t].quant.per_tensor for t in places)
            self._same.append((op.kind, tuple(sorted(op.attrs.items())), fixed, tuple(t < 0 for t in op.inputs)))
        self.prices = instruction_table(board)
        self._known: dict[tuple, Layer] = {}
        self._rivals: dict[tuple, tuple[str, ...]] = {}

    def at(self, op_index: int, widths: Sequence[int]) -> Layer:
        """The layer at these widths of all groups."""
        shapes = {t: self.skeleton.shape(t, widths) for t in self.places[op_index]}
        key = self._same[op_index], *shapes.values()
        if key not in self._known:
            self._known[key] = self._look(op_index, shapes)
        return self._known[key]

    def calls(self, op_index: int, layer: Layer) -> tuple[KernelCall, ...]:
        """The layer's calls as they stand in the network."""
        places = self.places[op_index]
        return tuple(replace(call, inputs=tuple(places[t] for t in call.inputs),
                             outputs=tuple(places[t] for t in call.outputs)) for call in layer.calls)

    def _look(self, op_index: int, shapes: dict[int, tuple[int, ...]]) -> Layer:
        alone = self.skeleton.alone(self.skeleton.graph.ops[op_index], shapes)
        op, calls = alone.ops[0], self._chosen(alone, self._same[op_index])
        table_bytes = sum(aligned(v.data.nbytes) for c in calls for v in c.params.values() if isinstance(v, Table))
        effort = sum(whole(c, alone.tensors[c.outputs[0]].size_bytes // c.images) for c in calls)
        return Layer(tuple(replace(c, params={}) for c in calls), table_bytes, op_work(alone, op, calls, self.prices),
                     effort, aligned(max((c.scratch_bytes for c in calls), default=0)))

    def _chosen(self, alone: Graph, same: tuple) -> list[KernelCall]:
        """The calls that the selector takes. Plainer variants are lowered only where their kernel might win."""
        op, isa, table = alone.ops[0], self.board.isa, self.prices
        calls = lower(alone, op, isa)
        kernel = calls[0].kernel if calls else ""
        rivals = self._rivals.get((same, kernel))
        if rivals is not None:
            shapes = [alone.tensors[t].shape if t >= 0 else () for t in op.inputs]
            found = op_features(op.kind, op.attrs, shapes, alone.tensors[op.outputs[0]].shape)
            price = [sum(p * f for p, f in zip(table.of(k), found)) for k in (kernel, *rivals)]
            if len(price) == 1 or price[0] <= min(price[1:]):
                return calls
        ways = candidates(alone, op, isa)
        self._rivals[same, kernel] = tuple({c[0].kernel for v, c in ways.items() if c and v not in ROOMY.get(isa, ())}
                                           - {kernel})
        return ways[fastest(alone, {0: ways}, self.board, roomy=False, measured={})[0]]
