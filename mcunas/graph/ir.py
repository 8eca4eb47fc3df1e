# SPDX-License-Identifier: Apache-2.0
"""Graph: the one network form below PyTorch. Tensors (NHWC), ops in execution order, quantization.

Everything is immutable; a pass builds a new Graph. Op kinds are TFLite's builtin names and weights keep TFLite's
layouts (convolution OHWI, depthwise 1HWC, fully connected out x in), so that the .tflite border is one to one.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

ITEM_BYTES = {"int8": 1, "uint8": 1, "bool": 1, "int16": 2, "int32": 4, "float32": 4, "int64": 8}


@dataclass(frozen=True, eq=False)
class Quant:
    """Affine quantization ``real = scale * (q - zero_point)``: one pair per tensor, or one per slice along `axis`.

    scale: float32 (1,) or (C,); zero_point: int64 of the same shape.
    """

    scale: np.ndarray
    zero_point: np.ndarray
    axis: int = 0

    @staticmethod
    def of(scale: float, zero_point: int = 0) -> Quant:
        return Quant(np.array([scale], np.float32), np.array([zero_point], np.int64))

    @property
    def is_per_tensor(self) -> bool:
        return self.scale.size == 1

    @property
    def per_tensor(self) -> tuple[float, int]:
        """(scale, zero point) as Python numbers; the scale is the exact float32 value."""
        return float(self.scale[0]), int(self.zero_point[0])

    def same_as(self, other: Quant | None) -> bool:
        return (other is not None and np.array_equal(self.scale, other.scale)
                and np.array_equal(self.zero_point, other.zero_point))


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value in the graph; `data` is set for constants only. Weights of dtype "int4" are held as int8 of -8..7."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    quant: Quant | None = None
    data: np.ndarray | None = None

    @property
    def is_const(self) -> bool:
        return self.data is not None

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """int4: two values a byte."""
        return (self.elements + 1) // 2 if self.dtype == "int4" else self.elements * ITEM_BYTES[self.dtype]


@dataclass(frozen=True, eq=False)
class Op:
    """One operation; an input index of -1 is an absent optional input."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Graph:
    """A network: `inputs` and `outputs` index `tensors`; `ops` are in an order that can be executed."""

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    name: str = "model"

    def producer(self) -> dict[int, int]:
        """tensor index -> index of the op that writes it."""
        return {t: i for i, op in enumerate(self.ops) for t in op.outputs}

    def consumers(self) -> dict[int, list[int]]:
        """tensor index -> indices of the ops that read it, in order."""
        readers: dict[int, list[int]] = {}
        for i, op in enumerate(self.ops):
            for t in dict.fromkeys(op.inputs):
                if t >= 0:
                    readers.setdefault(t, []).append(i)
        return readers

    @property
    def output_quant(self) -> tuple[float, int]:
        """(scale, zero point) of the first output, which is int8."""
        quant = self.tensors[self.outputs[0]].quant
        assert quant is not None
        return float(quant.scale[0]), int(quant.zero_point[0])

    def activations(self) -> Iterator[int]:
        """Indices of the tensors that need RAM: graph inputs and op outputs that are used or returned."""
        seen = dict.fromkeys(self.inputs)
        for op in self.ops:
            seen.update(dict.fromkeys(op.outputs))
        return iter(seen)

    def where(self, op_index: int) -> str:
        """'op 3 CONV_2D (tensor "features")' for error messages."""
        op = self.ops[op_index]
        name = self.tensors[op.outputs[0]].name if op.outputs else "?"
        return f'op {op_index} {op.kind} (tensor "{name}")'

    def alone(self, op_index: int) -> Graph:
        """A Graph of one op with its constants; what it reads becomes the input."""
        op = self.ops[op_index]
        used = sorted({t for t in (*op.inputs, *op.outputs) if t >= 0})
        place = {t: k for k, t in enumerate(used)} | {-1: -1}
        moved = replace(op, inputs=tuple(place[t] for t in op.inputs), outputs=tuple(place[t] for t in op.outputs))
        inputs = dict.fromkeys(place[t] for t in op.inputs if t >= 0 and not self.tensors[t].is_const)
        return Graph(tuple(self.tensors[t] for t in used), (moved,), tuple(inputs), moved.outputs, "layer")

    def with_(self, **changes: Any) -> Graph:
        return replace(self, **changes)
