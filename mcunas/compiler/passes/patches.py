# SPDX-License-Identifier: Apache-2.0
"""Patches: a piece of the network computed in column strips of its image, one strip after the other.

The patch-wise inference of MCUNetV2 (Lin et al., NeurIPS 2021, section 3). Streams keep few rows of each tensor in
between, of the image's whole width; in a strip they are as narrow as the strip. Strips overlap by what the windows
reach, and what lies there is computed twice. Rows need no such cut: a stream rolls over them without computing anything
twice. Every byte stays: a strip pads where the image ends, and reads its neighbours' true columns elsewhere.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mcunas.compiler.passes.pad_folding import padding_name
from mcunas.compiler.passes.rewrite import compact, constant, data_positions
from mcunas.graph.integer_params import sliding_window
from mcunas.graph.ir import Graph, Op, Tensor
from mcunas.graph.spec import EXPLICIT_PADDING

_WINDOWS = (*EXPLICIT_PADDING, "AVERAGE_POOL_2D")
_PIXELS = ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "LOGISTIC", "TANH", "RELU", "RELU6", "HARD_SWISH", "LEAKY_RELU",
           "QUANTIZE")
_NO_MASKS = dict.fromkeys(("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0)
Columns = tuple[int, int]       # from, to (exclusive)


@dataclass(frozen=True)
class Strip:
    """columns: tensor -> those that the strip computes of it, or reads, where it is not of the piece itself."""

    columns: dict[int, Columns]


def strips(graph: Graph, first: int, end: int, count: int) -> list[Strip] | None:
    """`count` strips of ops first..end-1, about equally wide in the last op's output; None where that cannot be.

    It can where the ops work on images (int8, batch 1), look at columns near their own and nobody else reads what is in
    between.
    """
    piece, readers = graph.ops[first:end], graph.consumers()
    inner = {op.outputs[0] for op in piece[:-1]}
    if any(t in graph.outputs or not all(first <= r < end for r in readers.get(t, [])) for t in inner):
        return None
    touched = {t for op in piece for t in (*op.outputs, *_values(graph, op))}
    if any(op.kind not in _WINDOWS + _PIXELS for op in piece) or not all(_is_image(graph.tensors[t]) for t in touched):
        return None
    last = piece[-1].outputs[0]
    width, found = graph.tensors[last].shape[2], []
    if width < count:
        return None
    for k in range(count):
        columns = {last: (k * width // count, (k + 1) * width // count)}
        for op in reversed(piece):
            for t in _values(graph, op):
                wanted = _reads(graph, op, t, columns[op.outputs[0]]) if op.outputs[0] in columns else None
                if wanted is None:
                    return None
                known = columns.get(t, wanted)
                columns[t] = min(known[0], wanted[0]), max(known[1], wanted[1])
            if op.kind in _WINDOWS and _padding(graph, op, columns[op.outputs[0]]) is None:
                return None
        found.append(Strip(columns))
    return found


@dataclass(frozen=True, eq=False)
class Patched:
    """origin: per op of `graph`, the index of the op that it is (part of) in the graph before; -1 for moved columns."""

    graph: Graph
    origin: tuple[int, ...]


def patched(graph: Graph, first: int, end: int, count: int) -> Patched | None:
    """The graph with ops first..end-1 (its ops being in the order of execution) in strips; None where `strips` is.

    A strip's ops follow each other; the last one's columns are put beside those of the strips before.
    """
    found = strips(graph, first, end, count)
    if found is None:
        return None
    build, last = _Build(graph), graph.ops[end - 1].outputs[0]
    done = -1
    for k, strip in enumerate(found):
        part = build.strip(first, end, strip, f" ({k + 1} of {count})")
        done = part if k == 0 else build.beside(done, part, last, strip.columns[last][1])
    ops = (*graph.ops[:first], *build.ops, *graph.ops[end:])
    after = compact(graph.with_(tensors=tuple(build.tensors), ops=ops))
    if len(after.ops) != len(ops):          # ops that nobody needs have gone: their strips are of no interest
        return None
    return Patched(after, (*range(first), *build.origin, *range(end, len(graph.ops))))


class _Build:
    """Tensors and ops of the strips. The last strip ends with the tensor that the piece wrote."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.tensors = graph, list(graph.tensors)
        self.ops: list[Op] = []
        self.origin: list[int] = []

    def strip(self, first: int, end: int, strip: Strip, suffix: str) -> int:
        """Appends the ops of one strip; returns the tensor of the last one."""
        graph, mine, cuts = self.graph, {}, {}

        def columns_of(t: int, wanted: Columns) -> int:
            have = strip.columns[t] if t in mine else (0, graph.tensors[t].shape[2])
            if have == wanted:
                return mine.get(t, t)
            if (t, wanted) not in cuts:
                cuts[t, wanted] = self.cut(mine.get(t, t), wanted[0] - have[0], wanted[1] - have[0])
            return cuts[t, wanted]

        for index in range(first, end):
            op = graph.ops[index]
            out = op.outputs[0]
            wanted, values = strip.columns[out], set(_values(graph, op))
            inputs = tuple(columns_of(t, _reads(graph, op, t, wanted)) if t in values else t for t in op.inputs)
            attrs = {**op.attrs, "padding": _padding(graph, op, wanted)} if op.kind in _WINDOWS else op.attrs
            mine[out] = self._tensor(out, wanted[1] - wanted[0], suffix)
            self._op(Op(op.kind, inputs, (mine[out],), attrs), index)
        return mine[graph.ops[end - 1].outputs[0]]

    def cut(self, t: int, low: int, high: int) -> int:
        """Columns low..high-1 of a tensor."""
        _, height, _, depth = self.tensors[t].shape
        at = len(self.tensors)
        for name, values in (("begin", (0, 0, low, 0)), ("end", (1, height, high, depth)), ("step", (1, 1, 1, 1))):
            self.tensors.append(constant(name, np.array(values, np.int32)))
        out = self._tensor(t, high - low, f" [{low}:{high}]")
        self._op(Op("STRIDED_SLICE", (t, at, at + 1, at + 2), (out,), _NO_MASKS))
        return out

    def beside(self, left: int, right: int, whole: int, width: int) -> int:
        """left and right as one; the tensor `whole` itself, where it is complete."""
        complete = width == self.graph.tensors[whole].shape[2]
        out = whole if complete else self._tensor(whole, width, f" (to {width})")
        self._op(Op("CONCATENATION", (left, right), (out,), {"axis": 2, "activation": "NONE"}))
        return out

    def _op(self, op: Op, origin: int = -1) -> None:
        self.ops.append(op)
        self.origin.append(origin)

    def _tensor(self, like: int, width: int, suffix: str) -> int:
        tensor = self.tensors[like]
        n, height, _, depth = tensor.shape
        self.tensors.append(replace(tensor, name=tensor.name + suffix, shape=(n, height, width, depth)))
        return len(self.tensors) - 1


def _values(graph: Graph, op: Op) -> Iterator[int]:
    """Activations that the op reads."""
    return (op.inputs[p] for p in data_positions(op) if not graph.tensors[op.inputs[p]].is_const)


def _is_image(tensor: Tensor) -> bool:
    return len(tensor.shape) == 4 and tensor.shape[0] == 1 and tensor.dtype == "int8"


def _reads(graph: Graph, op: Op, t: int, wanted: Columns) -> Columns | None:
    """Columns of input `t` that the op's columns `wanted` are computed from; None where they are not near these."""
    if op.kind not in _WINDOWS:
        width = graph.tensors[op.outputs[0]].shape[2]
        constants = (graph.tensors[op.inputs[p]] for p in data_positions(op) if graph.tensors[op.inputs[p]].is_const)
        fixed = all(len(c.shape) < 2 or c.shape[-2] == 1 for c in constants)
        return wanted if fixed and graph.tensors[t].shape[2] == width else None
    low, high = _window(graph, op, wanted)
    low, high = max(0, low), min(graph.tensors[t].shape[2], high)
    return (low, high) if low < high else None


def _window(graph: Graph, op: Op, wanted: Columns) -> Columns:
    """Columns that the windows of columns `wanted` cover, also beside the image."""
    w = sliding_window(graph, op)
    reach = (w.kernel[1] - 1) * w.dilation[1] + 1
    return wanted[0] * w.stride[1] - w.pad[1], (wanted[1] - 1) * w.stride[1] - w.pad[1] + reach


def _padding(graph: Graph, op: Op, wanted: Columns) -> object | None:
    """Padding of the strip with columns `wanted`; None where the op cannot say it."""
    _, height, width, _ = graph.tensors[op.inputs[0]].shape
    out_h, w = graph.tensors[op.outputs[0]].shape[1], sliding_window(graph, op)
    low, high = _window(graph, op, wanted)
    reach = (w.kernel[0] - 1) * w.dilation[0] + 1
    sides = ((w.pad[0], max(0, (out_h - 1) * w.stride[0] + reach - height - w.pad[0])), (max(0, -low), max(0, high - width)))
    found = padding_name((height, min(width, high) - max(0, low)), w, (out_h, wanted[1] - wanted[0]), sides)
    return found if isinstance(found, str) or op.kind in EXPLICIT_PADDING else None
