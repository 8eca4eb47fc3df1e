# SPDX-License-Identifier: Apache-2.0
"""Concatenations and slices along channels without a copy: parts lie in the pixels of the whole.

A part of a concatenation is written where it lies in the whole, whose buffer then holds its parts from the first one
written to the last reader; a slice is read where it lies. The op itself does nothing. The bytes are those of the copy: a
part's producer writes the same values, to the addresses that the copy would have written to, and parts of a
concatenation never share a byte, so what reads one may write another (the Ghost module's cheap operation, Han et al.,
IJCV 2022). It takes kernels that can step over the other channels (KernelCall.spaced): every producer's, and those of ops
that read a part by itself. Concatenations may nest: a whole can be a part of a larger one.
"""
from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from mcunas.compiler.lifetime import Program
from mcunas.compiler.lower import KernelCall
from mcunas.graph.ir import Graph, Op
from mcunas.graph.shapes import slice_ranges

KINDS = ("CONCATENATION", "SPLIT", "STRIDED_SLICE")
Place = tuple[int, int]         # the whole, bytes from a pixel of it to the part


def joinable(program: Program) -> tuple[int, ...]:
    """Indices of the concatenations and slices that need no copy, all of them together."""
    found: tuple[int, ...] = ()
    for index, op in enumerate(program.graph.ops):
        if op.kind in KINDS and program.calls[index] and joined(program, (*found, index)):
            found = (*found, index)
    return found


def joined(program: Program, ops: Collection[int]) -> Program | None:
    """The program whose `ops` (indices of KINDS) copy nothing; None where some tensor or kernel does not allow it."""
    parts = places(program.graph, ops)
    if parts is None or program.parts:
        return None
    calls = list(program.calls)
    for index, op in enumerate(program.graph.ops):
        if index in ops:
            calls[index] = ()
        elif not parts.keys().isdisjoint((*op.inputs, *op.outputs)):
            call = _spaced(program.graph, calls[index], parts)
            if call is None:
                return None
            calls[index] = (call,)
    return Program.with_calls(program.graph, tuple(calls), parts)


def places(graph: Graph, ops: Collection[int]) -> dict[int, Place] | None:
    """Part -> where it lies: of nested concatenations in the outermost whole, of slices in what they are cut from."""
    found: dict[int, Place] = {}
    for index in sorted(ops, reverse=True):
        op = graph.ops[index]
        if op.kind != "CONCATENATION":
            continue
        shape = graph.tensors[op.outputs[0]].shape
        if not _is_image(shape) or op.attrs["axis"] % 4 != 3:
            return None
        whole, at = found.get(op.outputs[0], (op.outputs[0], 0))
        for t in op.inputs:
            if t in found or t in graph.inputs or t in graph.outputs or graph.tensors[t].is_const:
                return None
            found[t] = whole, at
            at += graph.tensors[t].shape[3]
    for op in (graph.ops[index] for index in sorted(ops)):
        if op.kind == "CONCATENATION":
            continue
        source, first = op.inputs[op.kind == "SPLIT"], _first_channel(graph, op)
        if first is None or graph.tensors[source].is_const:
            return None
        whole, at = found.get(source, (source, 0))
        for t in op.outputs:
            if t in found or t in graph.outputs:
                return None
            found[t] = whole, at + first
            first += graph.tensors[t].shape[3]
    return found


def _is_image(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and shape[0] == 1


def _first_channel(graph: Graph, op: Op) -> int | None:
    """Of a SPLIT or STRIDED_SLICE that takes neighbouring channels and nothing else away; None for others."""
    shape = graph.tensors[op.inputs[op.kind == "SPLIT"]].shape
    if not _is_image(shape) or not _is_image(graph.tensors[op.outputs[0]].shape):
        return None
    if op.kind == "SPLIT":
        return 0 if int(graph.tensors[op.inputs[0]].data.reshape(-1)[0]) % 4 == 3 else None
    *pixels, (first, step, _, keep) = slice_ranges(graph, op)
    whole = all(found == (0, 1, size, True) for found, size in zip(pixels, shape))
    return first if whole and step == 1 and keep else None


def _spaced(graph: Graph, calls: tuple[KernelCall, ...], parts: dict[int, Place]) -> KernelCall | None:
    """The only call of an op, between tensors of which some are parts."""
    if len(calls) != 1 or calls[0].spaced is None or len(calls[0].inputs) != 1 or len(calls[0].outputs) != 1:
        return None
    steps = (graph.tensors[parts[t][0]].shape[3] if t in parts else None
             for t in (calls[0].inputs[0], calls[0].outputs[0]))
    call = calls[0].spaced(*steps)
    return call and replace(call, inputs=calls[0].inputs, outputs=calls[0].outputs)
