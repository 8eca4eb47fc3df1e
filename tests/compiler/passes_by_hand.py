# SPDX-License-Identifier: Apache-2.0
"""Graphs written by hand in which every scale is 1, so that a layer's output is bias + products + zero point."""
from __future__ import annotations

import numpy as np

from mcunas.graph import Graph, Op, Quant, Tensor, verify
from mcunas.graph.shapes import infer


class Net:
    """A graph under construction; methods return tensor indices. Scale 1 everywhere unless said."""

    def __init__(self, *shape: int, zero: int = 0) -> None:
        self.tensors = [Tensor("x", shape, "int8", Quant.of(1.0, zero))]
        self.ops: list[Op] = []

    def const(self, data: object, dtype: str = "int32", quant: Quant | None = None) -> int:
        array = np.asarray(data, dtype)
        self.tensors.append(Tensor(f"c{len(self.tensors)}", array.shape, dtype, quant, array))
        return len(self.tensors) - 1

    def op(self, kind: str, *inputs: int, zero: int = 0, scale: float = 1.0, shape: tuple[int, ...] = (),
           **attrs: object) -> int:
        self.tensors.append(Tensor(f"t{len(self.tensors)}", shape, "int8", Quant.of(scale, zero)))
        result = len(self.tensors) - 1
        op = Op(kind, inputs, (result,), attrs)
        shape = infer(Graph(tuple(self.tensors), (), (0,), ()), op)[0]
        self.tensors[result] = Tensor(f"t{result}", shape, "int8", Quant.of(scale, zero))
        self.ops.append(op)
        return result

    def layer(self, kind: str, x: int, weights: object, bias: object = None, zero: int = 0, padding: object = "VALID",
              activation: str = "NONE", stride: int = 1, weight_scale: float = 1.0, **attrs: object) -> int:
        inputs = [x, self.const(weights, "int8", Quant.of(weight_scale))]
        if bias is not None:
            inputs.append(self.const(bias, "int32", Quant.of(weight_scale)))
        if kind != "FULLY_CONNECTED":
            attrs |= {"stride_h": stride, "stride_w": stride, "dilation_h": 1, "dilation_w": 1, "padding": padding}
        return self.op(kind, *inputs, zero=zero, activation=activation, **attrs)

    def conv(self, x: int, weights: object, *rest: object, **options: object) -> int:
        """weights: O x kh x kw x C, or O x C for a pointwise layer."""
        array = np.asarray(weights)
        return self.layer("CONV_2D", x, array[:, None, None] if array.ndim == 2 else array, *rest, **options)

    def depthwise(self, x: int, weights: object, *rest: object, **options: object) -> int:
        """weights: kh x kw x C."""
        return self.layer("DEPTHWISE_CONV_2D", x, np.asarray(weights)[None], *rest, depth_multiplier=1, **options)

    def dense(self, x: int, weights: object, *rest: object, **options: object) -> int:
        return self.layer("FULLY_CONNECTED", x, weights, *rest, keep_dims=False, **options)

    def reshape(self, x: int, *shape: int) -> int:
        return self.op("RESHAPE", x, self.const(shape), zero=self.tensors[x].quant.per_tensor[1], shape=shape)

    def pad(self, x: int, *sides: tuple[int, int]) -> int:
        """sides: of rows and of columns."""
        return self.op("PAD", x, self.const([(0, 0), *sides, (0, 0)]), zero=self.tensors[x].quant.per_tensor[1])

    def graph(self, *outputs: int) -> Graph:
        return verify(Graph(tuple(self.tensors), tuple(self.ops), (0,), outputs))


def kinds(graph: Graph) -> list[str]:
    return [op.kind for op in graph.ops]


def data(graph: Graph, op: int, position: int) -> list:
    """Weights (position 1) or bias (2) of an op."""
    return graph.tensors[graph.ops[op].inputs[position]].data.tolist()
