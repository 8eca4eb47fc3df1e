# SPDX-License-Identifier: Apache-2.0
"""Concatenation along channels without a copy: every part is written where it lies in the whole, pixel by pixel.

The whole's buffer then holds its parts from the first one written to the last reader, and the op itself does nothing.
The bytes are those of the copy: a part's producer writes the same values, to the addresses that the copy would have
written to, and parts never share a byte, so what reads one part may write another (the Ghost module's cheap operation,
Han et al., IJCV 2022). It takes kernels that can step over the other parts (KernelCall.spaced): every producer's, and
those of ops that read a part by itself. Concatenations may nest: a whole can be a part of a larger one.
"""
from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from mcunas.compiler.lifetime import Program
from mcunas.compiler.lower import KernelCall
from mcunas.graph.ir import Graph

Place = tuple[int, int]         # the whole, bytes from a pixel of it to the part


def joinable(program: Program) -> tuple[int, ...]:
    """Indices of the concatenations that can be joined, all of them together."""
    found: tuple[int, ...] = ()
    for index, op in enumerate(program.graph.ops):
        if op.kind == "CONCATENATION" and program.calls[index] and joined(program, (*found, index)):
            found = (*found, index)
    return found


def joined(program: Program, concatenations: Collection[int]) -> Program | None:
    """The program whose concatenations (op indices) copy nothing; None where some tensor or kernel does not allow it."""
    parts = places(program.graph, concatenations)
    if parts is None or program.parts:
        return None
    calls = list(program.calls)
    for index, op in enumerate(program.graph.ops):
        if index in concatenations:
            calls[index] = ()
        elif not parts.keys().isdisjoint((*op.inputs, *op.outputs)):
            call = _spaced(program.graph, calls[index], parts)
            if call is None:
                return None
            calls[index] = (call,)
    return Program.with_calls(program.graph, tuple(calls), parts)


def places(graph: Graph, concatenations: Collection[int]) -> dict[int, Place] | None:
    """Part -> where it lies; of nested ones in the outermost whole."""
    border, found = {*graph.inputs, *graph.outputs}, {}
    for index in sorted(concatenations, reverse=True):
        op = graph.ops[index]
        shape = graph.tensors[op.outputs[0]].shape
        if len(shape) != 4 or shape[0] != 1 or op.attrs["axis"] % 4 != 3:
            return None
        whole, at = found.get(op.outputs[0], (op.outputs[0], 0))
        for t in op.inputs:
            if t in found or t in border or graph.tensors[t].is_const:
                return None
            found[t] = whole, at
            at += graph.tensors[t].shape[3]
    return found


def _spaced(graph: Graph, calls: tuple[KernelCall, ...], parts: dict[int, Place]) -> KernelCall | None:
    """The only call of an op, between tensors of which some are parts."""
    if len(calls) != 1 or calls[0].spaced is None or len(calls[0].inputs) != 1 or len(calls[0].outputs) != 1:
        return None
    steps = (graph.tensors[parts[t][0]].shape[3] if t in parts else None
             for t in (calls[0].inputs[0], calls[0].outputs[0]))
    call = calls[0].spaced(*steps)
    return call and replace(call, inputs=calls[0].inputs, outputs=calls[0].outputs)
