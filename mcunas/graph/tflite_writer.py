# SPDX-License-Identifier: Apache-2.0
"""Writer: Graph -> .tflite bytes through TFLite Micro's own schema module. Scales are written as they are.

Nothing is re-calibrated and nothing is reordered: reading the result gives the same Graph back.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from mcunas.errors import InputError
from mcunas.graph.ir import Graph, Op, Tensor
from mcunas.graph.nibbles import packed
from mcunas.graph.shapes import squeezed_axes
from mcunas.graph.spec import KINDS
from mcunas.graph.verify import verify


def write_tflite(graph: Graph, floats: bool = False) -> bytes:
    """The model as a standard .tflite, schema version 3; `floats`: of float32. Raises InputError when it is not legal."""
    import flatbuffers
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    verify(graph, floats)
    for index, op in enumerate(graph.ops):
        if isinstance(op.attrs.get("padding"), tuple):
            raise InputError(f"a .tflite cannot hold a padding of {op.attrs['padding']}", graph.where(index),
                             fix="write the graph as it was before the compiler's passes")
    model = schema.ModelT()
    model.version = 3
    model.description = "mcunas"
    model.buffers = [schema.BufferT()]
    kinds = sorted({op.kind for op in graph.ops})
    model.operatorCodes = [_operator_code(schema, kind) for kind in kinds]
    subgraph = schema.SubGraphT()
    subgraph.name = graph.name
    subgraph.tensors = [_tensor(schema, tensor, model.buffers) for tensor in graph.tensors]
    subgraph.inputs, subgraph.outputs = list(graph.inputs), list(graph.outputs)
    subgraph.operators = [_operator(schema, graph, op, kinds.index(op.kind)) for op in graph.ops]
    model.subgraphs = [subgraph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _operator_code(schema: Any, kind: str) -> object:
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, kind)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)     # readers older than schema 3a look here
    code.version = 1
    return code


def _tensor(schema: Any, tensor: Tensor, buffers: list) -> object:
    out = schema.TensorT()
    out.name, out.shape, out.hasRank = tensor.name, list(tensor.shape), True
    out.type = getattr(schema.TensorType, tensor.dtype.upper())
    if tensor.is_const:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(_bytes(tensor), np.uint8)
        buffers.append(buffer)
        out.buffer = len(buffers) - 1
    if tensor.quant is not None:
        quant = schema.QuantizationParametersT()
        quant.scale = tensor.quant.scale.astype(np.float32)
        quant.zeroPoint = tensor.quant.zero_point.astype(np.int64)
        quant.quantizedDimension = tensor.quant.axis
        out.quantization = quant
    return out


def _bytes(tensor: Tensor) -> bytes:
    if tensor.dtype == "int4":
        return packed(tensor.data)
    return np.ascontiguousarray(tensor.data).astype(np.dtype(tensor.dtype).newbyteorder("<")).tobytes()


def _operator(schema: Any, graph: Graph, op: Op, code: int) -> object:
    out = schema.OperatorT()
    out.opcodeIndex, out.inputs, out.outputs = code, list(op.inputs), list(op.outputs)
    spec = KINDS[op.kind]
    if spec.options:
        options = getattr(schema, f"{spec.options}T")()
        for name, attr in spec.attrs.items():
            value = op.attrs[name]
            setattr(options, attr.field, attr.choices.index(value) if attr.choices else value)
        if op.kind == "SQUEEZE":            # the axes follow from the shapes; an empty list would mean all of 1
            options.squeezeDims = squeezed_axes(*(graph.tensors[t].shape for t in (*op.inputs, *op.outputs)))
        out.builtinOptionsType = getattr(schema.BuiltinOptions, spec.options)
        out.builtinOptions = options
    return out
