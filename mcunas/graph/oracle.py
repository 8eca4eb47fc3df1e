# SPDX-License-Identifier: Apache-2.0
"""The oracle: TFLite Micro's own interpreter (the PyPI wheel, reference kernels, double rounding)."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcunas.errors import InputError
from mcunas.graph.ir import Graph
from mcunas.graph.tflite_writer import write_tflite

_ARENA_FLOOR_BYTES = 1 << 20


def run(graph: Graph, inputs: Sequence[np.ndarray]) -> dict[int, np.ndarray]:
    """Every op output (NHWC) of one inference, by tensor index. Raises InputError when TFLM refuses the model."""
    oracle = Oracle(graph, keep_all=True)
    oracle.outputs(inputs)
    return {t: oracle.tensor(t) for op in graph.ops for t in op.outputs}


class Oracle:
    """One loaded model.

    data: the .tflite bytes that `graph` was read from (default: the graph written anew). keep_all: every intermediate
    tensor stays readable, at the price of host memory.
    """

    def __init__(self, graph: Graph, data: bytes | None = None, keep_all: bool = False) -> None:
        from tflite_micro.python.tflite_micro import runtime

        self._graph = graph
        mode = runtime.InterpreterConfig
        arena_bytes = _ARENA_FLOOR_BYTES + 8 * sum(t.size_bytes for t in graph.tensors)
        try:
            self._interpreter = runtime.Interpreter.from_bytes(
                data or write_tflite(graph), arena_size=arena_bytes,
                intrepreter_config=mode.kPreserveAllTensors if keep_all else mode.kAllocationRecording)
        except RuntimeError as error:
            raise InputError(f"TFLite Micro does not load this model ({_first_line(error)})", graph.name) from None

    def outputs(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One inference. inputs: arrays of the model's dtypes and shapes (NHWC)."""
        try:
            for i, array in enumerate(inputs):
                self._interpreter.set_input(array, i)
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise InputError(f"TFLite Micro does not run this model ({_first_line(error)})", self._graph.name) from None
        return [np.array(self._interpreter.get_output(i)) for i in range(len(self._graph.outputs))]

    def tensor(self, index: int) -> np.ndarray:
        """Value of one tensor after `outputs` (needs keep_all)."""
        return np.array(self._interpreter.GetTensor(index, 0)["tensor_data"])


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0]
