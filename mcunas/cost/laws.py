# SPDX-License-Identifier: Apache-2.0
"""How a layer's numbers follow from its two widths, learnt from few of them: thousands of pairs without lowering each.

Sizes of tables, scratch and rows are sums of products of a function of the inputs and a function of the outputs, however
stepped each of these is. Such a matrix is known from a few of its rows and columns. The distance between a window's
output and input is not such a sum, but what a kernel adds to the compiler's own figure for the window is. A law that
does not say what the lowering says of pairs that it has not seen is not used.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mcunas.compiler.lower import Overlap
from mcunas.compiler.lower.overlap import pixel_reads
from mcunas.cost.estimate import op_work
from mcunas.cost.layers import Layer, Layers
from mcunas.cost.segments import hull
from mcunas.graph.integer_params import sliding_window

_RANK, _CHECKS = 4, 24
_CLEAR = 1.25           # a kernel that is so much cheaper than its rivals at all looked-at widths is cheaper at all


@dataclass(frozen=True, eq=False)
class Law:
    """Of one op with its best usual kernels. matrices: per number of _numbers, its value at (first width, second width).

    is_clear: no other kernel comes near.
    """

    layers: Layers
    op_index: int
    like: Layer
    places: tuple[dict[int, int], dict[int, int]]
    matrices: np.ndarray
    is_clear: bool

    @staticmethod
    def of(layers: Layers, op_index: int, pairs: np.ndarray) -> Law | None:
        """From the pairs (N, 2) of widths that will be asked for; None where these are too few or follow no law."""
        axes = [np.unique(column) for column in pairs.T]
        if len(pairs) < 3 * _RANK * sum(map(len, axes)):
            return None
        random = np.random.default_rng(0)
        few = [np.sort(random.choice(len(axis), _RANK, replace=False)) for axis in axes]
        like = layers.at(op_index, _full(layers, op_index, axes[0][few[0][0]], axes[1][few[1][0]]), usual=True)
        if len(like.calls) != 1 or not like.calls[0].rows:
            return None
        beside, margins = _beside(layers, op_index, axes, like), []

        def is_alike(layer: Layer) -> bool:
            one, other = layer.calls[0], like.calls[0]
            return layer.form == like.form and (one.rounds_long, one.clamps) == (other.rounds_long, other.clamps)

        def look(i: int, j: int) -> list[int] | None:
            """What the lowering says beyond `beside`."""
            widths = _full(layers, op_index, axes[0][i], axes[1][j])
            layer = layers.at(op_index, widths, usual=True)
            margins.append(layers.margin(op_index, layer, widths))
            return [n - int(b) for n, b in zip(_numbers(layer), beside[:, i, j])] if is_alike(layer) else None

        left = [[look(i, j) for j in few[1]] for i in range(len(axes[0]))]
        right = [[look(i, j) for j in range(len(axes[1]))] for i in few[0]]
        if any(found is None for row in (*left, *right) for found in row):
            return None
        left, right = np.array(left, float).transpose(2, 0, 1), np.array(right, float).transpose(2, 0, 1)  # type: ignore[assignment]
        matrices = np.rint(left @ np.linalg.pinv(left[:, few[0]], rcond=1e-9) @ right).astype(np.int64)  # type: ignore[call-overload]
        places = tuple({int(w): i for i, w in enumerate(axis)} for axis in axes)
        for first, second in random.choice(pairs, _CHECKS).tolist():
            i, j = places[0][first], places[1][second]
            if look(i, j) != matrices[:, i, j].tolist():
                return None
        return Law(layers, op_index, like, places, matrices + beside, min(margins) > _CLEAR)  # type: ignore[arg-type]

    def at(self, first: int, second: int) -> Layer:
        widths = _full(self.layers, self.op_index, first, second)
        numbers = self.matrices[:, self.places[0][first], self.places[1][second]].tolist()
        table, effort, scratch, macs, row_bytes, block_bytes, *rest = numbers
        call = self.like.calls[0]
        inputs = tuple(replace(how, row_bytes=rest.pop(0), turn_work=rest.pop(0)) for how in call.rows.inputs)
        overlap = tuple(Overlap(None if o.input_above is None else rest.pop(0),
                                None if o.output_above is None else rest.pop(0)) for o in call.overlap)
        call = replace(call, scratch_bytes=call.scratch_bytes and scratch, macs=macs, overlap=overlap,
                       rows=replace(call.rows, row_bytes=row_bytes, block_bytes=block_bytes, inputs=inputs))
        op, shapes = self.layers.skeleton.graph.ops[self.op_index], self.layers.shapes(self.op_index, widths)
        work = op_work(op, [shapes.get(t, ()) for t in op.inputs], shapes[op.outputs[0]], [call], self.layers.prices)
        layer = Layer((call,), table, work, effort, scratch)
        if self.is_clear or self.layers.margin(self.op_index, layer, widths) >= 1:
            return layer
        return self.layers.at(self.op_index, widths)


def _full(layers: Layers, op_index: int, first: int, second: int) -> list[int]:
    widths = list(layers.skeleton.full)
    for group, width in zip(layers.groups[op_index], (first, second)):
        widths[group] = int(width)
    return widths


def _beside(layers: Layers, op_index: int, axes: list[np.ndarray], like: Layer) -> np.ndarray:
    """Per number of _numbers, at all widths: the compiler's distances for a convolution's window alone, else zeros."""
    count, op = len(_numbers(like)), layers.skeleton.graph.ops[op_index]
    found = np.zeros((count, len(axes[0]), len(axes[1])), np.int64)
    overlaps = like.calls[0].overlap
    if op.kind != "CONV_2D" or len(overlaps) != 1 or None in (overlaps[0].input_above, overlaps[0].output_above):
        return found
    widths: list = list(layers.skeleton.full)
    widths[layers.groups[op_index][0]], widths[layers.groups[op_index][1]] = axes[0][:, None], axes[1][None, :]
    x, y = (layers.skeleton.shape(t, widths) for t in (op.inputs[0], op.outputs[0]))
    first, last = (v.tolist() for v in pixel_reads(x[1:3], y[1:3], sliding_window(layers.skeleton.graph, op)))
    up = hull({low: pixel + 1 for pixel, low in enumerate(first)})
    down = hull(dict(enumerate(last)))
    found[-2] = np.max([np.broadcast_to(written * y[3] - low * x[3], found[0].shape) for low, written in up], axis=0)
    found[-1] = np.max([np.broadcast_to(read * x[3] - low * y[3], found[0].shape) for low, read in down], axis=0)
    return found


def _numbers(layer: Layer) -> list[int]:
    call, rows = layer.calls[0], layer.calls[0].rows
    found = [layer.table_bytes, layer.effort, layer.scratch_bytes, call.macs, rows.row_bytes, rows.block_bytes]
    for how in rows.inputs:
        found += [how.row_bytes, how.turn_work]
    for overlap in call.overlap:
        found += [n for n in (overlap.input_above, overlap.output_above) if n is not None]
    return found
