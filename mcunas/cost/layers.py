# SPDX-License-Identifier: Apache-2.0
"""What single layers take, at any widths: looked at one by one through the compiler's lowering, and remembered.

A network of a Skeleton is priced thousands of times during a search; its layers repeat. A layer is what the planner and
the prices need to know of its kernel calls, without their tables.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING

from mcunas.compiler.effort import whole
from mcunas.compiler.joining import KINDS
from mcunas.compiler.lifetime import aligned
from mcunas.compiler.lower import ROOMY, KernelCall, Table, candidates, lower
from mcunas.compiler.select import fastest
from mcunas.compiler.tables import instruction_table
from mcunas.cost.estimate import Work, layer_work, op_work, shapes_of
from mcunas.cost.skeleton import Skeleton
from mcunas.graph.ir import Graph, Op

if TYPE_CHECKING:
    from mcunas.board import Board
    from mcunas.cost.estimate import Simulator


Steps = tuple[int | None, int | None]       # of input and output, see KernelCall.spaced


@dataclass(frozen=True, eq=False)
class Layer:
    """calls: bare, tensors by their place among the op's own. table_bytes: aligned. effort: effort.py's."""

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
    """The layers of one Skeleton on one board. groups: per op, the channel groups that its shapes depend on.
    simulator: as in `estimate`."""

    def __init__(self, skeleton: Skeleton, board: Board, simulator: Simulator | None = None) -> None:
        self.skeleton, self.board, self.simulator = skeleton, board, simulator
        ops, tensors, axes = skeleton.graph.ops, skeleton.graph.tensors, skeleton.axes
        self.places = [tuple(dict.fromkeys(t for t in (*op.inputs, *op.outputs) if t >= 0)) for op in ops]
        self.groups = [sorted({g for t in places for axis in axes.get(t, {}).values() for g, _, _ in axis.segments
                               if g >= 0}) for places in self.places]
        parts = {t for op in ops if op.kind in KINDS for t in (op.inputs if op.kind == "CONCATENATION" else op.outputs)}
        self.beside_parts = {i for i, op in enumerate(ops) if not parts.isdisjoint((*op.inputs, *op.outputs))}
        self._same = []
        for op, places in zip(ops, self.places):
            fixed = tuple(tensors[t].data.tobytes() if tensors[t].is_const and t not in axes else
                          tensors[t].quant and tensors[t].quant.is_per_tensor and tensors[t].quant.per_tensor
                          for t in places)
            self._same.append((op.kind, tuple(sorted(op.attrs.items())), fixed, tuple(t < 0 for t in op.inputs)))
        self.prices = instruction_table(board)
        self._known: dict[tuple, Layer] = {}
        self._spaced: dict[tuple, Layer | None] = {}
        self._rivals: dict[tuple, tuple[KernelCall, ...]] = {}

    def at(self, op_index: int, widths: Sequence[int], usual: bool = False) -> Layer:
        """The layer at these widths of all groups. usual: with the best usual kernels, whatever the selector takes."""
        shapes = self.shapes(op_index, widths)
        key = usual, self._same[op_index], *shapes.values()
        if key not in self._known:
            self._known[key] = self._look(op_index, shapes, usual)
        return self._known[key]

    def margin(self, op_index: int, layer: Layer, widths: Sequence[int]) -> float:
        """How many times its cycles the plainer kernels would take at least; the selector looks at them below 1."""
        same, op, shapes = self._same[op_index], self.skeleton.graph.ops[op_index], self.shapes(op_index, widths)
        if (same, layer.calls[0].kernel) not in self._rivals:
            self._chosen(self.skeleton.alone(op, shapes), same, layer.calls[0].kernel)
        return self._margin(layer.work, self._rivals[same, layer.calls[0].kernel], op,
                            [shapes.get(t, ()) for t in op.inputs], shapes[op.outputs[0]])

    def shapes(self, op_index: int, widths: Sequence[int]) -> dict[int, tuple[int, ...]]:
        """Of the op's tensors."""
        return {t: self.skeleton.shape(t, widths) for t in self.places[op_index]}

    def spaced(self, op_index: int, layer: Layer, widths: Sequence[int], steps: Steps) -> Layer | None:
        """The layer's kernel between tensors that are some channels of wider ones (KernelCall.spaced); None: it cannot."""
        shapes = self.shapes(op_index, widths)
        key = tuple(c.kernel for c in layer.calls), self._same[op_index], steps, *shapes.values()
        if key not in self._spaced:
            alone = self.skeleton.alone(self.skeleton.graph.ops[op_index], shapes)
            ways = candidates(alone, alone.ops[0], self.board.isa).values()
            calls = next((w for w in ways if [c.kernel for c in w] == [c.kernel for c in layer.calls]), [])
            call = calls[0].spaced(*steps) if len(calls) == 1 and calls[0].spaced else None
            self._spaced[key] = call and replace(layer, calls=(call.bare(),), scratch_bytes=aligned(  # type: ignore[assignment]
                call.scratch_bytes))
        return self._spaced[key]

    def calls(self, op_index: int, layer: Layer, widths: Sequence[int] | None = None) -> tuple[KernelCall, ...]:
        """The layer's calls as they stand in the network. widths: the layer's, for calls that can be spaced."""
        places = self.places[op_index]
        found = tuple(replace(call, inputs=tuple(places[t] for t in call.inputs),
                              outputs=tuple(places[t] for t in call.outputs)) for call in layer.calls)
        if widths is None or op_index not in self.beside_parts:
            return found

        def spaced(*steps: int | None) -> KernelCall | None:
            wider = self.spaced(op_index, layer, widths, steps)  # type: ignore[arg-type]
            return wider and self.calls(op_index, wider)[0]  # type: ignore[return-value]

        return tuple(replace(call, spaced=spaced) for call in found)

    def _look(self, op_index: int, shapes: dict[int, tuple[int, ...]], usual: bool) -> Layer:
        alone = self.skeleton.alone(self.skeleton.graph.ops[op_index], shapes)
        op, same = alone.ops[0], self._same[op_index]
        within, out = shapes_of(alone, op), alone.tensors[op.outputs[0]].shape
        calls = lower(alone, op, self.board.isa)
        work = layer_work(alone, 0, calls, self.board, self.prices, self.simulator)
        if not usual and calls:
            rivals = self._rivals.get((same, calls[0].kernel))
            if rivals is None or self._margin(work, rivals, op, within, out) < 1:
                calls = self._chosen(alone, same, calls[0].kernel)
                work = layer_work(alone, 0, calls, self.board, self.prices, self.simulator)
        table_bytes = sum(aligned(v.data.nbytes) for c in calls for v in c.params.values() if isinstance(v, Table))
        effort = sum(whole(c, alone.tensors[c.outputs[0]].size_bytes // c.images) for c in calls)
        return Layer(tuple(c.bare() for c in calls), table_bytes, work, effort,
                     aligned(max((c.scratch_bytes for c in calls), default=0)))

    def _margin(self, work: Work, rivals: Sequence[KernelCall], op: Op, shapes: Sequence[tuple[int, ...]],
                out: tuple[int, ...]) -> float:
        others = (op_work(op, shapes, out, [rival], self.prices).whole[1] for rival in rivals)
        return min(others, default=inf) / max(work.whole[1], 1e-9)

    def _chosen(self, alone: Graph, same: tuple, kernel: str) -> list[KernelCall]:
        """The calls that the selector takes; remembers the plainer kernels that stand beside `kernel`."""
        ways = candidates(alone, alone.ops[0], self.board.isa)
        usual = [calls[0] for variant, calls in ways.items() if calls and variant not in ROOMY.get(self.board.isa, ())]
        self._rivals[same, kernel] = tuple(call.bare() for call in usual if call.kernel != kernel)
        return ways[fastest(alone, {0: ways}, self.board, measured={})[0]]
