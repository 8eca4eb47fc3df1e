# SPDX-License-Identifier: Apache-2.0
"""Many single-op graphs as one graph: their generated C is then built once for all of them."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from mcunas.graph import Graph, Op

Case = tuple[Graph, list[np.ndarray]]


def draw(cases: SearchStrategy[Case], count: int, number: int = 0) -> list[Case]:
    """`count` cases, the same ones for the same `number`. Hypothesis begins with the plainest case: it is left out."""
    drawn: list[Case] = []

    @seed(number)
    @settings(max_examples=count + 1, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(cases)
    def collect(case: Case) -> None:
        drawn.append(case)

    collect()
    return drawn[1:]


def bundle(cases: Sequence[Case]) -> Case:
    """The graphs side by side, in order; op i of the result is case i's (each case has one op)."""
    tensors, ops, inputs, outputs, values = [], [], [], [], []
    for graph, given_inputs in cases:
        base = len(tensors)
        tensors += graph.tensors
        ops += [Op(op.kind, tuple(t + base if t >= 0 else t for t in op.inputs), tuple(t + base for t in op.outputs),
                   op.attrs) for op in graph.ops]
        inputs += [t + base for t in graph.inputs]
        outputs += [t + base for t in graph.outputs]
        values += given_inputs
    return Graph(tuple(tensors), tuple(ops), tuple(inputs), tuple(outputs)), values
