# SPDX-License-Identifier: Apache-2.0
"""Which tensors need storage, which share it, and what an op leaves alive: the facts that order and schedule build on.

A storage is named by its representative tensor: a RESHAPE's output lives in its input's storage, parts of another tensor
(joining.py) in that of the whole, which several ops may then write. Graph inputs are live
from the start to their last use, graph outputs to the end; an op's inputs and outputs are all live while it runs,
except where its kernel may write the output over a dying input.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from mcunas.compiler.lower import KernelCall, Overlap, lower
from mcunas.compiler.passes.taps import WEIGHTED
from mcunas.errors import InputError
from mcunas.graph.ir import Graph

ALIGN_BYTES = 4        # word accesses of the kernels' widened loads and of int32 scratch


def aligned(size_bytes: int) -> int:
    return -(-size_bytes // ALIGN_BYTES) * ALIGN_BYTES


@dataclass(frozen=True, eq=False)
class Program:
    """A Graph with its kernel calls per op. storage: tensor that lives in RAM -> representative tensor.

    parts: tensor -> (the whole that it is some channels of, their place in its pixels).
    """

    graph: Graph
    calls: tuple[tuple[KernelCall, ...], ...]
    storage: dict[int, int]
    parts: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    @staticmethod
    def of(graph: Graph, isa: str = "scalar", choice: Mapping[int, str] = MappingProxyType({})) -> Program:
        """choice: op index -> variant of its kernels; the others take the best usual one."""
        return Program.with_calls(graph, tuple(tuple(lower(graph, op, isa, choice.get(i)))
                                               for i, op in enumerate(graph.ops)))

    @staticmethod
    def with_calls(graph: Graph, calls: tuple[tuple[KernelCall, ...], ...],
                   parts: Mapping[int, tuple[int, int]] = MappingProxyType({})) -> Program:
        storage = {t: parts[t][0] if t in parts else t for t in graph.activations()}
        for index, (op, op_calls) in enumerate(zip(graph.ops, calls)):
            if not op_calls and op.outputs[0] not in parts:  # the op only renames its input
                if op.inputs[0] not in storage:
                    raise InputError(f"{op.kind} of a constant", where=f"{graph.name}: {graph.where(index)}",
                                     fix="fold constants before exporting the model")
                storage[op.outputs[0]] = storage[op.inputs[0]]
        return Program(graph, calls, storage, parts)

    def reads(self, op_index: int) -> set[int]:
        return {self.storage[t] for t in self.graph.ops[op_index].inputs if t in self.storage}

    def writes(self, op_index: int) -> set[int]:
        """Storages that the op brings to life (none for a renaming)."""
        return {self.storage[t] for t in self.graph.ops[op_index].outputs} if self.calls[op_index] else set()

    @cached_property
    def with_own_tables(self) -> frozenset[int]:
        """Op indices without those of layers whose weights an op before has in the same form: strips of one layer share
        its tables."""
        first: dict[tuple[object, ...], int] = {}
        for i, (op, calls) in enumerate(zip(self.graph.ops, self.calls)):
            first.setdefault((op.kind, op.inputs[1:], tuple(c.kernel for c in calls)) if op.kind in WEIGHTED else (i,), i)
        return frozenset(first.values())

    def scratch_bytes(self, op_index: int) -> int:
        return aligned(max((c.scratch_bytes for c in self.calls[op_index]), default=0))

    @cached_property
    def pinned(self) -> frozenset[int]:
        """Storages of graph outputs: they stay to the end."""
        return frozenset(self.storage[t] for t in self.graph.outputs)

    @cached_property
    def sources(self) -> frozenset[int]:
        return frozenset(self.storage[t] for t in self.graph.inputs)

    @cached_property
    def size(self) -> dict[int, int]:
        """Storage -> aligned bytes."""
        return {root: aligned(self.graph.tensors[root].size_bytes) for root in set(self.storage.values())}

    def overlaps(self, op_index: int) -> dict[int, Overlap]:
        """Storage of an input -> how the op's output may share bytes with it, should it die there."""
        calls = self.calls[op_index]
        if len(calls) != 1 or len(calls[0].outputs) != 1:
            return {}
        found: dict[int, Overlap] = {}
        for position, t in enumerate(calls[0].inputs):
            if t in self.storage:
                root, overlap = self.storage[t], calls[0].overlap_with(position)
                found[root] = overlap if found.get(root, overlap) == overlap else Overlap()
        return {root: overlap for root, overlap in found.items() if overlap != Overlap()}


def one_way(overlaps: dict[int, Overlap], size: dict[int, int], output_bytes: int) -> dict[int, Overlap]:
    """Several inputs under one output must agree on a direction: those of the one that saves more."""
    if len(overlaps) < 2:
        return overlaps
    up = {root: Overlap(input_above=o.input_above) for root, o in overlaps.items() if o.input_above is not None}
    down = {root: Overlap(output_above=o.output_above) for root, o in overlaps.items() if o.output_above is not None}
    return max((up, down), key=lambda way: max((saving(o, size[r], output_bytes) for r, o in way.items()), default=0))


def saving(overlap: Overlap, input_bytes: int, output_bytes: int) -> int:
    """Bytes that sharing saves over two separate buffers, at the closest allowed distance."""
    apart, best = input_bytes + output_bytes, input_bytes + output_bytes
    if overlap.input_above is not None:
        best = min(best, max(aligned(max(overlap.input_above, 0)) + input_bytes, output_bytes))
    if overlap.output_above is not None:
        best = min(best, max(aligned(max(overlap.output_above, 0)) + output_bytes, input_bytes))
    return apart - best
