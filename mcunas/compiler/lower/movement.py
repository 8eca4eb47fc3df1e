# SPDX-License-Identifier: Apache-2.0
"""Ops that move bytes: one strided copy per source or destination, and none where only the shape changes.

The kernels count bytes: a value of int16 is an innermost axis of two.

Cutting columns out of an image and putting two images side by side go row by row, so that they can be stages of a
stream: what patches (mcunas.compiler.patches) are made of.
"""
from __future__ import annotations

from collections.abc import Sequence
from math import prod

from mcunas.compiler.lower import KernelCall, Overlap, RowInput, Rows, lowers
from mcunas.compiler.lower.loops import any_order, dense_steps, loop_params, merged
from mcunas.compiler.lower.window import UINT16_MAX
from mcunas.graph.ir import ITEM_BYTES, Graph, Op
from mcunas.graph.shapes import slice_ranges


def _copy(graph: Graph, source: int, result: int, counts: Sequence[int], steps_in: Sequence[int],
          steps_out: Sequence[int], offset_in: int = 0, offset_out: int = 0) -> KernelCall:
    """Steps and offsets in values."""
    item = _item(graph, result)
    every = merged((*counts, item), (*(s * item for s in steps_in), 1), (*(s * item for s in steps_out), 1))
    axes = any_order(every)
    total, inner, loops = prod(axis.count for axis in axes), axes[-1], loop_params(axes, ("step_in", "step_out"))
    return KernelCall("mn_copy_s8", {"offset_in": offset_in * item, "offset_out": offset_out * item, **loops}, (source,),
                      (result,), moves=total // inner.count, scattered=0 if inner.step0 == inner.step1 == 1 else total)


def _item(graph: Graph, tensor: int) -> int:
    return ITEM_BYTES[graph.tensors[tensor].dtype]


@lowers("RESHAPE", "SQUEEZE", "EXPAND_DIMS", of_any_size=True)
def _rename(graph: Graph, op: Op) -> list[KernelCall]:
    return []


@lowers("CONCATENATION", of_any_size=True)
def _concatenate(graph: Graph, op: Op) -> list[KernelCall]:
    out = graph.tensors[op.outputs[0]].shape
    axis, steps, at = op.attrs["axis"] % len(out), dense_steps(out), 0
    if _is_image(out) and axis == 2 and len(op.inputs) == 2:
        return [_beside(graph, op)]
    calls = []
    for t in op.inputs:
        shape = graph.tensors[t].shape
        calls.append(_copy(graph, t, op.outputs[0], shape, dense_steps(shape), steps, offset_out=at * steps[axis]))
        at += shape[axis]
    return calls


def _is_odd(*sizes: int) -> bool:
    """Whether rows of such sizes do not all begin at a word, so that they are copied byte by byte."""
    return any(size % 4 for size in sizes)


def _is_image(shape: Sequence[int]) -> bool:
    return len(shape) == 4 and shape[0] == 1 and shape[1] <= UINT16_MAX


def _beside(graph: Graph, op: Op) -> KernelCall:
    """A row is moved before a later one is overwritten, its left part before its right one."""
    (_, height, _, _), (left, right) = graph.tensors[op.outputs[0]].shape, (
        graph.tensors[t].shape[2] * graph.tensors[t].shape[3] * _item(graph, t) for t in op.inputs)
    rows = Rows(height, left + right, (RowInput(height, left, "ring0"), RowInput(height, right, "ring1")))
    return KernelCall("mn_beside_s8", {"ring0": height, "ring1": height, "out_ring": height, "row0": left, "row1": right},
                      op.inputs, op.outputs, moves=2 * height,
                      scattered=height * (left + right) * _is_odd(left, right), rows=rows,
                      overlap=(Overlap((height - 1) * right, 0), Overlap(height * left, right)))


@lowers("SPLIT", of_any_size=True)
def _split(graph: Graph, op: Op) -> list[KernelCall]:
    shape = graph.tensors[op.inputs[1]].shape
    axis, steps = int(graph.tensors[op.inputs[0]].data.reshape(-1)[0]) % len(shape), dense_steps(shape)
    part = graph.tensors[op.outputs[0]].shape
    return [_copy(graph, op.inputs[1], t, part, steps, dense_steps(part), offset_in=k * part[axis] * steps[axis])
            for k, t in enumerate(op.outputs)]


@lowers("PAD", of_any_size=True)
def _pad(graph: Graph, op: Op) -> list[KernelCall]:
    """The output is filled with the zero point (of int16: two bytes of 0), then the input is copied into it."""
    shape, out = graph.tensors[op.inputs[0]].shape, graph.tensors[op.outputs[0]]
    before = [int(p) for p in graph.tensors[op.inputs[1]].data[:, 0]]
    steps = dense_steps(out.shape)
    copy = _copy(graph, op.inputs[0], op.outputs[0], shape, dense_steps(shape), steps,
                 offset_out=sum(p * s for p, s in zip(before, steps)))
    if out.shape == shape:
        return [copy]
    fill = {"value": out.quant.per_tensor[1], "count": out.size_bytes}
    return [KernelCall("mn_fill_s8", fill, (), op.outputs), copy]


@lowers("TRANSPOSE", of_any_size=True)
def _transpose(graph: Graph, op: Op) -> list[KernelCall]:
    out = graph.tensors[op.outputs[0]].shape
    steps = dense_steps(graph.tensors[op.inputs[0]].shape)
    permutation = [int(p) for p in graph.tensors[op.inputs[1]].data.reshape(-1)]
    return [_copy(graph, op.inputs[0], op.outputs[0], out, [steps[p] for p in permutation], dense_steps(out))]


@lowers("STRIDED_SLICE", of_any_size=True)
def _strided_slice(graph: Graph, op: Op) -> list[KernelCall]:
    steps, ranges = dense_steps(graph.tensors[op.inputs[0]].shape), slice_ranges(graph, op)
    counts = [count for _, _, count, _ in ranges]
    shape = graph.tensors[op.inputs[0]].shape
    if _is_image(shape) and ranges[2][1] == 1 and all(keep for *_, keep in ranges) and all(
            ranges[axis] == (0, 1, shape[axis], True) for axis in (0, 1, 3)):
        return [_columns(op, (*shape[:3], shape[3] * _item(graph, op.outputs[0])), ranges[2][0], counts[2])]
    return [_copy(graph, op.inputs[0], op.outputs[0], counts, [s * step for s, (_, step, _, _) in zip(steps, ranges)],
                  dense_steps(counts), offset_in=sum(s * begin for s, (begin, _, _, _) in zip(steps, ranges)))]


def _columns(op: Op, shape: Sequence[int], first: int, count: int) -> KernelCall:
    """shape: NHWC, the last number in bytes."""
    _, height, width, depth = shape
    rows = Rows(height, count * depth, (RowInput(height, width * depth, "in_ring"),))
    params = {"in_ring": height, "out_ring": height, "row_in": width * depth, "row_out": count * depth,
              "offset": first * depth}
    return KernelCall("mn_columns_s8", params, op.inputs[:1], op.outputs, moves=height,
                      scattered=height * count * depth * _is_odd(width * depth, first * depth, count * depth), rows=rows,
                      overlap=(Overlap(0, (height - 1) * (width - count) * depth),))


@lowers("DEPTH_TO_SPACE")
def _depth_to_space(graph: Graph, op: Op) -> list[KernelCall]:
    n, h, w, c = graph.tensors[op.inputs[0]].shape
    b = op.attrs["block_size"]
    steps = dense_steps((n, h, w, b, b, c // (b * b)))
    order = (0, 1, 3, 2, 4, 5)                              # n, h, row in block, w, column in block, channel
    counts = [(n, h, w, b, b, c // (b * b))[k] for k in order]
    return [_copy(graph, op.inputs[0], op.outputs[0], counts, [steps[k] for k in order], dense_steps(counts))]
