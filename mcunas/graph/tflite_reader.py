# SPDX-License-Identifier: Apache-2.0
"""Reader for .tflite files of int8, or with int16 activations, through TFLite Micro's own schema module (shipped in its
wheel).

The flatbuffers runtime does not verify a file, so everything read here is bounded and a malformed file of any kind
ends as one InputError.
"""
from __future__ import annotations

import re
import struct
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from mcunas.errors import InputError, McunasError
from mcunas.graph.ir import Graph, Op, Quant, Tensor
from mcunas.graph.nibbles import unpacked
from mcunas.graph.spec import KINDS
from mcunas.graph.verify import verify

_MALFORMED = (struct.error, IndexError, ValueError, TypeError, KeyError, AttributeError, OverflowError,
              UnicodeDecodeError, AssertionError, MemoryError, RecursionError)
_SHARED_BYTES, _SHARED_TIMES = 16 << 20, 4       # what may be read of a file: this, and its size so many times
_DTYPES = {"FLOAT32": "float32", "INT32": "int32", "UINT8": "uint8", "INT64": "int64", "BOOL": "bool",
           "INT16": "int16", "INT8": "int8", "INT4": "int4"}


class Unsupported(InputError):
    """An operator that no kernel here computes. kind: "GELU", "FlexErf"; tensor: the name of its output."""

    def __init__(self, index: int, kind: str, tensor: str, where: str) -> None:
        super().__init__(f'op {index} {kind} (tensor "{tensor}") is not supported', where,
                         f"supported are {', '.join(sorted(KINDS))}")
        self.index, self.kind, self.tensor = index, kind, tensor


def read_tflite(source: str | Path | bytes, name: str | None = None, floats: bool = False) -> Graph:
    """A verified Graph from a path or from the file's bytes: an int8 one, or with `floats` a float32 one.

    Raises InputError for anything that is not a well-formed model of the supported ops; the message names the op, its
    index and the tensor.
    """
    if isinstance(source, bytes):
        data, label = source, name or "model"
    else:
        path = Path(source)
        label = str(path)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"cannot read the model ({error.strerror})", where=label) from None
        name = name or path.stem.encode(errors="replace").decode()      # a name need not be text
    if len(data) < 16 or data[4:8] != b"TFL3":
        raise InputError("this is not a .tflite file (no TFL3 identifier)", where=label)
    try:
        graph = _read(data, name or "model", label)
        (_only_floats if floats else _only_int8)(graph, label)
    except McunasError:
        raise
    except _MALFORMED as error:
        raise InputError(f"the .tflite file is corrupted or truncated ({type(error).__name__})", where=label) from None
    return verify(graph, floats)


def is_float(path: Path) -> bool:
    """Does a .tflite file take float32 and hold no int8? False for one that cannot be read."""
    try:
        graph = _read(path.read_bytes(), path.stem, str(path))
    except (OSError, InputError, *_MALFORMED):
        return False
    kinds = {t.dtype for t in graph.tensors}
    return "float32" in kinds and not kinds & {"int8", "uint8", "int16"}


class _Meter:
    """Parts of a file may be shared within it, buffers and vectors too, but not without end: else a small file would fill
    the memory."""

    def __init__(self, data: bytes) -> None:
        self._most, self._left_bytes = len(data), _SHARED_BYTES + _SHARED_TIMES * len(data)

    def spend(self, size_bytes: int) -> None:
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            raise ValueError("shared too often")

    def indices(self, count: int) -> range:
        """Of a vector, which cannot have more elements than the file has bytes."""
        if not 0 <= count <= self._most:
            raise ValueError("vector length")
        self.spend(4 * count)
        return range(count)


def _read(data: bytes, name: str, label: str) -> Graph:
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    model = schema.Model.GetRootAs(data, 0)
    if model.Version() != 3:
        raise InputError(f"schema version {model.Version()}, expected 3", where=label)
    if model.SubgraphsLength() != 1:
        raise InputError(f"{model.SubgraphsLength()} subgraphs, expected 1 (no control flow)", where=label)
    subgraph = model.Subgraphs(0)
    types = {code: spelled for spelled, code in vars(schema.TensorType).items() if isinstance(code, int)}
    meter = _Meter(data)
    buffers = _Buffers(model, data, meter)
    tensors = tuple(_tensor(subgraph.Tensors(i), types, buffers, label)
                    for i in meter.indices(subgraph.TensorsLength()))
    kinds = {code: spelled for spelled, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    codes = []
    for i in meter.indices(model.OperatorCodesLength()):
        entry = model.OperatorCodes(i)
        kind = kinds.get(max(entry.BuiltinCode(), entry.DeprecatedBuiltinCode()), "?")
        codes.append((entry.CustomCode() or b"?").decode("utf-8", "replace") if kind == "CUSTOM" else kind)
    ops = []
    for i in meter.indices(subgraph.OperatorsLength()):
        op = subgraph.Operators(i)
        inputs = tuple(int(op.Inputs(j)) for j in meter.indices(op.InputsLength()))
        outputs = tuple(int(op.Outputs(j)) for j in meter.indices(op.OutputsLength()))
        kind = codes[op.OpcodeIndex()]
        if kind not in KINDS:
            tensor = tensors[outputs[0]].name if outputs else "?"
            raise Unsupported(i, kind, tensor, label)
        ops.append(Op(kind, inputs, outputs, _attributes(schema, op, kind, f"{label}: op {i} {kind}")))
    ends = [tuple(int(get(j)) for j in meter.indices(count)) for get, count in
            ((subgraph.Inputs, subgraph.InputsLength()), (subgraph.Outputs, subgraph.OutputsLength()))]
    return Graph(tensors, tuple(ops), ends[0], ends[1], name)


def _only_int8(graph: Graph, label: str) -> None:
    if graph.ops and not any(t.dtype in ("int8", "int16") for t in graph.tensors):
        kinds = sorted({t.dtype for t in graph.tensors if not t.is_const})
        raise InputError(f"the model is {' and '.join(kinds)}, not int8", where=label,
                         fix="quantize it to int8 first: mcunas import MODEL --representative DATA.npz")


def _only_floats(graph: Graph, label: str) -> None:
    if any(t.dtype == "int8" for t in graph.tensors):
        inner = any(graph.tensors[t].dtype == "float32" for op in graph.ops for t in op.outputs if t not in graph.outputs)
        raise InputError("its weights are int8 and its activations float (dynamic range quantization)" if inner else
                         "the model is int8 already", label, "convert it without any quantization" if inner else
                         "it needs no import")


class _Buffers:
    """Constant data by buffer index, inside the file or behind it (large models use offset and size)."""

    def __init__(self, model: Any, data: bytes, meter: _Meter) -> None:
        self._model, self._data, self.meter = model, data, meter

    def get(self, index: int) -> bytes:
        if not 0 <= index < self._model.BuffersLength():
            raise ValueError("buffer index")
        buffer = self._model.Buffers(index)
        offset, size = buffer.Offset(), buffer.Size()
        if offset > 1:
            if offset + size > len(self._data):
                raise ValueError("buffer outside the file")
            self.meter.spend(size)
            return self._data[offset:offset + size]
        if buffer.DataIsNone():
            return b""
        self.meter.spend(buffer.DataLength())
        return buffer.DataAsNumpy().tobytes()


def _tensor(raw: Any, types: dict[int, str], buffers: _Buffers, label: str) -> Tensor:
    name = (raw.Name() or b"").decode("utf-8", "replace")
    buffers.meter.spend(len(name))
    where = f'{label}: tensor "{name}"'
    dtype = _DTYPES.get(types.get(raw.Type(), "?"))
    if dtype is None:
        raise InputError(f"type {types.get(raw.Type(), raw.Type())} is not supported", where=where,
                         fix="quantize the model to int8")
    if raw.IsVariable() or raw.Sparsity() is not None:
        raise InputError("variable and sparse tensors are not supported", where=where)
    if raw.ShapeLength() > 8:
        raise InputError(f"{raw.ShapeLength()} dimensions, at most 6 are supported", where=where)
    shape = tuple(int(raw.Shape(i)) for i in range(raw.ShapeLength()))
    if any(d <= 0 for d in shape):
        raise InputError(f"shape {shape} is not fixed", where=where, fix="convert with a fixed batch and input size")
    content = buffers.get(raw.Buffer()) if raw.Buffer() else b""
    data = None
    if content:
        array = (unpacked(content, prod(shape)) if dtype == "int4" else
                 np.frombuffer(content, np.dtype(dtype).newbyteorder("<")).astype(dtype))
        data = array.reshape(shape)
        data.flags.writeable = False
    return Tensor(name, shape, dtype, _quant(raw.Quantization(), buffers.meter), data)


def _quant(raw: Any, meter: _Meter) -> Quant | None:
    if raw is None or raw.ScaleIsNone() or raw.ScaleLength() == 0:
        return None
    meter.spend(4 * raw.ScaleLength() + (0 if raw.ZeroPointIsNone() else 8 * raw.ZeroPointLength()))
    scale = np.array(raw.ScaleAsNumpy(), np.float32)
    zero = (np.zeros(scale.size, np.int64) if raw.ZeroPointIsNone() or raw.ZeroPointLength() == 0
            else np.array(raw.ZeroPointAsNumpy(), np.int64))
    return Quant(scale, zero, raw.QuantizedDimension())


def _attributes(schema: Any, op: Any, kind: str, where: str) -> dict[str, object]:
    spec = KINDS[kind]
    if not spec.attrs:
        return {}
    table = op.BuiltinOptions()
    if table is None:
        return {name: attr.default for name, attr in spec.attrs.items()}
    if op.BuiltinOptionsType() != getattr(schema.BuiltinOptions, spec.options):
        raise InputError("its options table is of another kind", where=where)
    options = getattr(schema, spec.options)()
    options.Init(table.Bytes, table.Pos)
    attrs: dict[str, object] = {}
    for name, attr in spec.attrs.items():
        value = getattr(options, attr.field[0].upper() + attr.field[1:])()
        if attr.choices:
            if not 0 <= value < len(attr.choices):
                raise InputError(f"{name} code {value} is not supported", where=where)
            value = attr.choices[value]
        attrs[name] = value
    return attrs


def identifier(name: str) -> str:
    """A C identifier from a model's name: lower case, [a-z0-9_], never empty or leading with a digit."""
    text = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "model"
    return text if not text[0].isdigit() else f"m{text}"
