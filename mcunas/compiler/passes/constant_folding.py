# SPDX-License-Identifier: Apache-2.0
"""Constant folding: ops that read constants only are computed now, by the reference; what nobody reads is dropped.

A graph output cannot be a constant (it needs storage that the caller reads), so an op that writes one stays.
"""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcunas.compiler.passes.rewrite import compact
from mcunas.graph import reference
from mcunas.graph.ir import Graph


def constant_folding(graph: Graph) -> Graph:
    """The graph without ops on constants, without ops whose results nobody reads, without unused tensors."""
    tensors, ops = list(graph.tensors), []
    for op in graph.ops:
        foldable = all(t < 0 or tensors[t].is_const for t in op.inputs) and not set(op.outputs) & set(graph.outputs)
        if not foldable:
            ops.append(op)
            continue
        alone = Graph(tuple(tensors), (op,), (), op.outputs)
        values = reference.run(alone, [])
        for t in op.outputs:
            tensors[t] = replace(tensors[t], data=np.ascontiguousarray(values[t]))
    if len(ops) == len(graph.ops):
        return compact(graph)
    return compact(graph.with_(tensors=tuple(tensors), ops=tuple(ops)))
