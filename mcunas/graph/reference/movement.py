# SPDX-License-Identifier: Apache-2.0
"""Ops that only move bytes: joining, cutting, padding, permuting, renaming."""
from __future__ import annotations

import numpy as np

from mcunas.graph.ir import Graph, Op
from mcunas.graph.reference import Values, executes
from mcunas.graph.shapes import slice_ranges


@executes("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
def _rename(graph: Graph, op: Op, inputs: Values) -> list[np.ndarray]:
    return [inputs[0].reshape(graph.tensors[op.outputs[0]].shape)]


@executes("CONCATENATION")
def _concatenate(graph: Graph, op: Op, inputs: Values) -> list[np.ndarray]:
    return [np.concatenate(inputs, axis=op.attrs["axis"])]


@executes("SPLIT")
def _split(graph: Graph, op: Op, inputs: Values) -> list[np.ndarray]:
    return np.split(inputs[1], op.attrs["num_splits"], axis=int(inputs[0].reshape(-1)[0]))


@executes("PAD")
def _pad(graph: Graph, op: Op, inputs: Values) -> list[np.ndarray]:
    _, zero_point = graph.tensors[op.outputs[0]].quant.per_tensor
    return [np.pad(inputs[0], inputs[1], constant_values=zero_point)]


@executes("TRANSPOSE")
def _transpose(graph: Graph, op: Op, inputs: Values) -> list[np.ndarray]:
    return [np.transpose(inputs[0], inputs[1].reshape(-1))]


@executes("STRIDED_SLICE")
def _strided_slice(graph: Graph, op: Op, inputs: Values) -> list[np.ndarray]:
    picks = (begin + step * np.arange(count) for begin, step, count, _ in slice_ranges(graph, op))
    return [inputs[0][np.ix_(*picks)].reshape(graph.tensors[op.outputs[0]].shape)]


@executes("DEPTH_TO_SPACE")
def _depth_to_space(graph: Graph, op: Op, inputs: Values) -> list[np.ndarray]:
    n, h, w, c = inputs[0].shape
    b = op.attrs["block_size"]
    blocks = inputs[0].reshape(n, h, w, b, b, c // (b * b))
    return [blocks.transpose(0, 1, 3, 2, 4, 5).reshape(n, h * b, w * b, c // (b * b))]
