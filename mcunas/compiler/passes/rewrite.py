# SPDX-License-Identifier: Apache-2.0
"""What the passes share: appending constants, taking an op out, dropping what nobody reads, renumbering."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mcunas.graph.ir import Graph, Op, Quant, Tensor
from mcunas.graph.spec import KINDS


def compact(graph: Graph) -> Graph:
    """The graph without ops that nobody needs and without tensors that no op and no border names, renumbered.

    Graph inputs stay, also unused ones: they are the model's interface. An op stays when any of its outputs is read.
    """
    wanted, kept = set(graph.outputs), []
    for op in reversed(graph.ops):
        if wanted.intersection(op.outputs):
            kept.append(op)
            wanted.update(op.inputs)
    kept.reverse()
    used = set(graph.inputs) | set(graph.outputs) | {t for op in kept for t in (*op.inputs, *op.outputs)} - {-1}
    order = sorted(used)
    if len(order) == len(graph.tensors) and len(kept) == len(graph.ops):
        return graph
    number = {t: i for i, t in enumerate(order)} | {-1: -1}
    ops = tuple(replace(op, inputs=tuple(number[t] for t in op.inputs), outputs=tuple(number[t] for t in op.outputs))
                for op in kept)
    return graph.with_(tensors=tuple(graph.tensors[t] for t in order), ops=ops,
                       inputs=tuple(number[t] for t in graph.inputs), outputs=tuple(number[t] for t in graph.outputs))


def constant(name: str, data: np.ndarray, quant: Quant | None = None) -> Tensor:
    """A constant tensor; the dtype is the array's."""
    array = np.ascontiguousarray(data)
    array.flags.writeable = False
    return Tensor(name, tuple(int(d) for d in array.shape), str(array.dtype), quant, array)


def renamed(op: Op, names: Mapping[int, int]) -> Op:
    """The op with tensors exchanged according to `names`."""
    return replace(op, inputs=tuple(names.get(t, t) for t in op.inputs),
                   outputs=tuple(names.get(t, t) for t in op.outputs))


def interchangeable(a: Tensor, b: Tensor) -> bool:
    """Equal bytes of one mean the same as those of the other: shape, type, scale and zero point agree."""
    same_quant = a.quant is b.quant is None or (a.quant is not None and a.quant.same_as(b.quant))
    return a.shape == b.shape and a.dtype == b.dtype and same_quant


def bypass(graph: Graph, index: int, source: int) -> Graph | None:
    """The graph without op `index`, whose only output always equals tensor `source` (see `interchangeable`).

    Names of graph inputs and outputs stay. None where the op has to stay because it joins two of them.
    """
    result = graph.ops[index].outputs[0]
    if result in graph.outputs:
        if source in graph.inputs or source in graph.outputs or graph.tensors[source].is_const:
            return None
        names = {source: result}
    else:
        names = {result: source}
    ops = tuple(renamed(op, names) for i, op in enumerate(graph.ops) if i != index)
    return compact(graph.with_(ops=ops))


def replace_op(graph: Graph, index: int, op: Op, tensors: Sequence[Tensor] = ()) -> Graph:
    """The graph with another op at `index` and `tensors` appended (their numbers begin at len(graph.tensors))."""
    ops = (*graph.ops[:index], op, *graph.ops[index + 1:])
    return graph.with_(ops=ops, tensors=(*graph.tensors, *tensors))


def data_positions(op: Op) -> tuple[int, ...]:
    """Positions in op.inputs that carry values, not parameters (weights, axes, sizes)."""
    return tuple(i for i, t in enumerate(op.inputs) if t >= 0 and i not in KINDS[op.kind].const)
