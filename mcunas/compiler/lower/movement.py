# SPDX-License-Identifier: Apache-2.0
"""Ops that move bytes: one strided copy per source or destination, and none where only the shape changes."""
from __future__ import annotations

from collections.abc import Sequence

from mcunas.compiler.lower import KernelCall, lowers
from mcunas.compiler.lower.loops import any_order, dense_steps, loop_params, merged
from mcunas.graph.ir import Graph, Op
from mcunas.graph.shapes import slice_ranges


def _copy(source: int, result: int, counts: Sequence[int], steps_in: Sequence[int], steps_out: Sequence[int],
          offset_in: int = 0, offset_out: int = 0) -> KernelCall:
    loops = loop_params(any_order(merged(counts, steps_in, steps_out)), ("step_in", "step_out"))
    return KernelCall("mn_copy_s8", {"offset_in": offset_in, "offset_out": offset_out, **loops}, (source,), (result,))


@lowers("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
def _rename(graph: Graph, op: Op) -> list[KernelCall]:
    return []


@lowers("CONCATENATION")
def _concatenate(graph: Graph, op: Op) -> list[KernelCall]:
    out = graph.tensors[op.outputs[0]].shape
    axis, steps, at = op.attrs["axis"] % len(out), dense_steps(out), 0
    calls = []
    for t in op.inputs:
        shape = graph.tensors[t].shape
        calls.append(_copy(t, op.outputs[0], shape, dense_steps(shape), steps, offset_out=at * steps[axis]))
        at += shape[axis]
    return calls


@lowers("SPLIT")
def _split(graph: Graph, op: Op) -> list[KernelCall]:
    shape = graph.tensors[op.inputs[1]].shape
    axis, steps = int(graph.tensors[op.inputs[0]].data.reshape(-1)[0]) % len(shape), dense_steps(shape)
    part = graph.tensors[op.outputs[0]].shape
    return [_copy(op.inputs[1], t, part, steps, dense_steps(part), offset_in=k * part[axis] * steps[axis])
            for k, t in enumerate(op.outputs)]


@lowers("PAD")
def _pad(graph: Graph, op: Op) -> list[KernelCall]:
    """The output is filled with the zero point, then the input is copied into it."""
    shape, out = graph.tensors[op.inputs[0]].shape, graph.tensors[op.outputs[0]]
    before = [int(p) for p in graph.tensors[op.inputs[1]].data[:, 0]]
    steps = dense_steps(out.shape)
    copy = _copy(op.inputs[0], op.outputs[0], shape, dense_steps(shape), steps,
                 offset_out=sum(p * s for p, s in zip(before, steps)))
    if out.shape == shape:
        return [copy]
    fill = {"value": out.quant.per_tensor[1], "count": out.elements}
    return [KernelCall("mn_fill_s8", fill, (), op.outputs), copy]


@lowers("TRANSPOSE")
def _transpose(graph: Graph, op: Op) -> list[KernelCall]:
    out = graph.tensors[op.outputs[0]].shape
    steps = dense_steps(graph.tensors[op.inputs[0]].shape)
    permutation = [int(p) for p in graph.tensors[op.inputs[1]].data.reshape(-1)]
    return [_copy(op.inputs[0], op.outputs[0], out, [steps[p] for p in permutation], dense_steps(out))]


@lowers("STRIDED_SLICE")
def _strided_slice(graph: Graph, op: Op) -> list[KernelCall]:
    steps, ranges = dense_steps(graph.tensors[op.inputs[0]].shape), slice_ranges(graph, op)
    counts = [count for _, _, count, _ in ranges]
    return [_copy(op.inputs[0], op.outputs[0], counts, [s * step for s, (_, step, _, _) in zip(steps, ranges)],
                  dense_steps(counts), offset_in=sum(s * begin for s, (begin, _, _, _) in zip(steps, ranges)))]


@lowers("DEPTH_TO_SPACE")
def _depth_to_space(graph: Graph, op: Op) -> list[KernelCall]:
    n, h, w, c = graph.tensors[op.inputs[0]].shape
    b = op.attrs["block_size"]
    steps = dense_steps((n, h, w, b, b, c // (b * b)))
    order = (0, 1, 3, 2, 4, 5)                              # n, h, row in block, w, column in block, channel
    counts = [(n, h, w, b, b, c // (b * b))[k] for k in order]
    return [_copy(op.inputs[0], op.outputs[0], counts, [steps[k] for k in order], dense_steps(counts))]
