# SPDX-License-Identifier: Apache-2.0
"""Cutting channels out of a graph: shapes, weights, biases, constants and the parameters that name channels.

Which channels go is decided elsewhere (dead_channels); here every op is made to fit what is left.
"""
from __future__ import annotations

from dataclasses import dataclass, replace
from operator import is_

import numpy as np

from mcunas.compiler.passes.rewrite import constant, interchangeable
from mcunas.compiler.passes.taps import DENSE, bias_tensor, tap_weights, with_bias
from mcunas.graph.integer_params import bias_input, data_input
from mcunas.graph.ir import Graph, Op, Quant, Tensor

Masks = dict[int, np.ndarray]


@dataclass(frozen=True, eq=False)
class Layer:
    """What is known of a layer with weights, O outputs and C inputs (C = 1 for a depthwise layer).

    constant: bool (O,), the output has one value. plain_bias: int64 (O,), the bias; of a constant output, one that
    gives its value without any weight. needs: bool (O, C), the output needs the input's value. share: int64 (O, C),
    what an input that is not needed adds to the bias.
    """

    constant: np.ndarray
    plain_bias: np.ndarray
    needs: np.ndarray
    share: np.ndarray


def cut(graph: Graph, layers: dict[int, Layer | None], needed: Masks, kept: Masks) -> Graph:
    """The graph with only the `kept` channels; an input channel that is not `needed` is no longer read by layers, and one
    that is kept all the same is made plain. The argument itself where there is nothing to do.

    Tensors keep their numbers; new constants come behind them and old ones may be left over.
    """
    tensors = [_cut_tensor(t, kept[i]) if i in kept else t for i, t in enumerate(graph.tensors)]
    ops = []
    for index, op in enumerate(graph.ops):
        if not any(kept[t].any() for t in op.outputs):      # nobody reads it any more
            continue
        if layers.get(index) is not None:
            op = _cut_layer(graph, op, layers[index], needed, kept, tensors)
        elif op.kind in _PARAMETERS:
            op = _PARAMETERS[op.kind](graph, op, kept, tensors)
        ops.append(op)
    if len(ops) == len(graph.ops) and all(map(is_, ops, graph.ops)) and all(map(is_, tensors, graph.tensors)):
        return graph
    return graph.with_(tensors=tuple(tensors), ops=tuple(ops))


def _cut_tensor(tensor: Tensor, mask: np.ndarray) -> Tensor:
    if mask.all() or not mask.any():                        # of the latter no reader is left
        return tensor
    data = None if tensor.data is None else np.ascontiguousarray(tensor.data[..., mask])
    return replace(tensor, shape=(*tensor.shape[:-1], int(mask.sum())), data=data)


def _append(tensors: list[Tensor], tensor: Tensor, old: int = -1) -> int:
    """Its number: that of the old one where they are alike."""
    if old >= 0 and interchangeable(tensors[old], tensor) and (tensors[old].data == tensor.data).all():
        return old
    tensors.append(tensor)
    return len(tensors) - 1


def _plain(quant: Quant | None, needed: np.ndarray) -> Quant | None:
    """A channel that nobody needs may hold anything, also in scales; odd ones would keep kernels from their shortcuts."""
    if quant is None or quant.is_per_tensor or not needed.any():
        return quant
    usual = np.quantile(quant.scale[needed], 0.5, method="lower")
    return Quant(np.where(needed, quant.scale, usual).astype(quant.scale.dtype), quant.zero_point, quant.axis)


def _cut_quant(quant: Quant | None, mask: np.ndarray) -> Quant | None:
    if quant is None or quant.is_per_tensor:
        return quant
    return Quant(quant.scale[mask], quant.zero_point[mask], quant.axis)


def _cut_layer(graph: Graph, op: Op, layer: Layer, needed: Masks, kept: Masks, tensors: list[Tensor]) -> Op:
    x, w, y = data_input(op), op.inputs[1], op.outputs[0]
    reads = needed[x]
    if reads.all() and kept[x].all() and needed[y].all():
        return op
    weights, bias = tap_weights(graph, op).copy(), layer.plain_bias.copy()
    weights[layer.constant | ~needed[y]] = 0
    if op.kind in DENSE:
        weights[:, :, ~reads] = 0
        bias += np.where(layer.constant, 0, layer.share[:, ~reads].sum(axis=1))
        weights = weights[kept[y]][:, :, kept[x]]
        shape = (weights.shape[0], *graph.tensors[w].shape[1:-1], -1)
    else:
        weights = weights[kept[y]].transpose(2, 1, 0)
        shape = (*graph.tensors[w].shape[:-1], -1)
    bias[~needed[y]] = 0
    source = graph.tensors[w]
    inputs = list(op.inputs)
    cut = constant(source.name, weights.reshape(shape).astype(np.int8), _cut_quant(_plain(source.quant, needed[y]), kept[y]))
    inputs[1] = _append(tensors, replace(cut, dtype=source.dtype), op.inputs[1])
    if bias_input(op) >= 0 or bias[kept[y]].any():
        full = bias_tensor(graph, op, bias)
        cut_bias = constant(full.name, full.data[kept[y]], _cut_quant(_plain(full.quant, needed[y]), kept[y]))
        index = _append(tensors, cut_bias, bias_input(op))
        inputs = list(with_bias(replace(op, inputs=tuple(inputs)), index).inputs)
    if op.kind == "TRANSPOSE_CONV":
        size = graph.tensors[op.inputs[0]].data.copy()
        size[-1] = kept[y].sum()
        inputs[0] = _append(tensors, constant(graph.tensors[op.inputs[0]].name, size), op.inputs[0])
    return op if tuple(inputs) == tuple(op.inputs) else replace(op, inputs=tuple(inputs))


def _pad(graph: Graph, op: Op, kept: Masks, tensors: list[Tensor]) -> Op:
    """Padding of the channel axis is cut like any channel."""
    old, count = graph.tensors[op.inputs[1]], graph.tensors[op.inputs[0]].shape[-1]
    mask, before = kept[op.outputs[0]], int(old.data[-1, 0])
    amounts = old.data.copy()
    amounts[-1] = mask[:before].sum(), mask[before + count:].sum()
    return _with_parameter(op, 1, old, amounts, tensors)


def _concatenation(graph: Graph, op: Op, kept: Masks, tensors: list[Tensor]) -> Op:
    stays = tuple(t for t in op.inputs if kept[t].any())
    return op if stays == tuple(op.inputs) else replace(op, inputs=stays)


def _reshape(graph: Graph, op: Op, kept: Masks, tensors: list[Tensor]) -> Op:
    if len(op.inputs) < 2 or op.inputs[1] < 0:
        return op
    old = graph.tensors[op.inputs[1]]
    return _with_parameter(op, 1, old, np.array(tensors[op.outputs[0]].shape, old.data.dtype), tensors)


def _with_parameter(op: Op, position: int, old: Tensor, data: np.ndarray, tensors: list[Tensor]) -> Op:
    if data.shape == old.data.shape and (data == old.data).all():
        return op
    inputs = list(op.inputs)
    inputs[position] = _append(tensors, constant(old.name, data))
    return replace(op, inputs=tuple(inputs))


_PARAMETERS = {"CONCATENATION": _concatenation, "PAD": _pad, "RESHAPE": _reshape}
