# SPDX-License-Identifier: Apache-2.0
"""Integer reference executor: numpy, TFLite Micro's reference semantics, byte for byte. Slow and plain on purpose.

One module per family of ops; each function is registered for its kinds and gets the op and its input arrays.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mcunas.errors import InputError
from mcunas.graph.ir import Graph, Op

Values = list[np.ndarray | None]
Executor = Callable[[Graph, Op, Values], list[np.ndarray]]
_EXECUTORS: dict[str, Executor] = {}


def executes(*kinds: str) -> Callable[[Executor], Executor]:
    """Register an executor for op kinds. It returns one array (its dtype the output's) per output of the op."""
    def register(function: Executor) -> Executor:
        _EXECUTORS.update(dict.fromkeys(kinds, function))
        return function
    return register


def run(graph: Graph, inputs: Sequence[np.ndarray]) -> dict[int, np.ndarray]:
    """Execute the graph: every tensor's value (NHWC) by tensor index. Raises InputError on a wrong shape or dtype."""
    if len(inputs) != len(graph.inputs):
        raise InputError(f"{len(inputs)} inputs given, the model takes {len(graph.inputs)}", where=graph.name)
    values = {i: t.data for i, t in enumerate(graph.tensors) if t.is_const}
    for index, array in zip(graph.inputs, inputs):
        tensor = graph.tensors[index]
        if array.shape != tensor.shape or array.dtype != tensor.dtype:
            raise InputError(f"{array.dtype} {array.shape} given, expected {tensor.dtype} {tensor.shape}",
                             where=f'{graph.name}: input "{tensor.name}"')
        values[index] = array
    for op in graph.ops:
        results = _EXECUTORS[op.kind](graph, op, [values[t] if t >= 0 else None for t in op.inputs])
        for t, result in zip(op.outputs, results):
            values[t] = result.reshape(graph.tensors[t].shape)
    return values


from mcunas.graph.reference import convolution, elementwise, movement, pooling, resize, softmax  # noqa: E402,F401  registration
