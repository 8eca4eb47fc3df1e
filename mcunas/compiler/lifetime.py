# SPDX-License-Identifier: Apache-2.0
"""Which tensors need storage, which share it, and when each storage is live.

Time is counted in ops of the Graph (a schedule step = one op). A tensor is live from the step that writes it to the
last step that reads it, both included; graph inputs are live from the first step, graph outputs to the last.
"""
from __future__ import annotations

from dataclasses import dataclass

from mcunas.compiler.lower import KernelCall, lower
from mcunas.errors import InputError
from mcunas.graph.ir import Graph

ALIGN_BYTES = 4        # word accesses of the kernels' widened loads and of int32 scratch


def aligned(size_bytes: int) -> int:
    return -(-size_bytes // ALIGN_BYTES) * ALIGN_BYTES


@dataclass(frozen=True)
class Buffer:
    """Storage in the arena. tensors: those that live in it; () for an op's scratch. first, last: steps, inclusive."""

    name: str
    tensors: tuple[int, ...]
    size_bytes: int
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Program:
    """A Graph with its kernel calls per op, storage classes resolved.

    storage: tensor -> representative tensor (a RESHAPE's output lives in its input's storage).
    """

    graph: Graph
    calls: tuple[tuple[KernelCall, ...], ...]
    storage: dict[int, int]

    @staticmethod
    def of(graph: Graph) -> Program:
        calls = tuple(tuple(lower(graph, op)) for op in graph.ops)
        storage = {t: t for t in graph.activations()}
        for index, (op, op_calls) in enumerate(zip(graph.ops, calls)):
            if not op_calls:                                 # the op only renames its input
                if op.inputs[0] not in storage:
                    raise InputError(f"{op.kind} of a constant", where=f"{graph.name}: {graph.where(index)}",
                                     fix="fold constants before exporting the model")
                storage[op.outputs[0]] = storage[op.inputs[0]]
        return Program(graph, calls, storage)

    def reads(self, op_index: int) -> set[int]:
        return {self.storage[t] for t in self.graph.ops[op_index].inputs if t in self.storage}

    def writes(self, op_index: int) -> set[int]:
        return {self.storage[t] for t in self.graph.ops[op_index].outputs}

    def storage_bytes(self, root: int) -> int:
        return self.graph.tensors[root].size_bytes

    def scratch_bytes(self, op_index: int) -> int:
        return max((c.scratch_bytes for c in self.calls[op_index]), default=0)

    def overwritable(self, op_index: int) -> tuple[int, ...]:
        """Storages of inputs that the op's output may overwrite when they die at this op (single-call ops only)."""
        calls = self.calls[op_index]
        if len(calls) != 1:
            return ()
        call = calls[0]
        roots = (self.storage.get(call.inputs[k]) for k in call.in_place)
        fits = self.storage_bytes(self.storage[call.outputs[0]])
        return tuple(r for r in roots if r is not None and self.storage_bytes(r) >= fits)


def buffers(program: Program, order: tuple[int, ...]) -> list[Buffer]:
    """Storages with their live ranges under `order` (op indices), in-place outputs merged into the input they overwrite.

    Steps are positions in `order`. An unused op output is live during its own step.
    """
    graph, steps = program.graph, len(order)
    first = {program.storage[t]: 0 for t in graph.inputs}
    last = dict(first)
    for step, op in enumerate(order):
        for root in program.writes(op):
            first.setdefault(root, step)
            last[root] = max(last.get(root, step), step)
        for root in program.reads(op):
            last[root] = step
    pinned = {program.storage[t] for t in graph.outputs}
    last.update(dict.fromkeys(pinned, max(steps - 1, 0)))
    home = {root: root for root in first}
    for step, op in enumerate(order):
        written = program.writes(op)
        for root in program.overwritable(op):
            host = _settle(home, root)
            (out,) = written
            if last[host] == step and host not in pinned and out != host and first[out] == step:
                home[out] = host
                last[host] = last[out]
                if out in pinned:
                    pinned.add(host)
                break
    groups: dict[int, list[int]] = {}
    for tensor, root in program.storage.items():
        groups.setdefault(_settle(home, root), []).append(tensor)
    found = [Buffer(graph.tensors[host].name, tuple(sorted(members)),
                    max(graph.tensors[t].size_bytes for t in members), first[host], last[host])
             for host, members in groups.items()]
    for step, op in enumerate(order):
        size = program.scratch_bytes(op)
        if size:
            found.append(Buffer(f"scratch of op {op} {graph.ops[op].kind}", (), size, step, step))
    return found


def _settle(home: dict[int, int], root: int) -> int:
    while home[root] != root:
        root = home[root]
    return root


def live_bytes(found: list[Buffer], steps: int) -> tuple[int, ...]:
    """Aligned bytes live at each step: no placement can need less than their maximum."""
    return tuple(sum(aligned(b.size_bytes) for b in found if b.first <= s <= b.last) for s in range(steps))
