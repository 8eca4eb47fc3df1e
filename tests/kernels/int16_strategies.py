# SPDX-License-Identifier: Apache-2.0
"""Ops on int16 activations: the ops of other strategies on wider values, and QUANTIZE to, from and between them."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from mcunas.graph import Graph, Op, Quant, Tensor, verify
from mcunas.graph.int16_functions import OUTPUT_SCALE
from mcunas.graph.integer_params import bias_input, data_input
from mcunas.graph.spec import KINDS, WEIGHTED
from mcunas.graph.to_int8 import FIXED
from tests.kernels.bundle import Case
from tests.kernels.strategies import CASES, _legal
from tests.kernels.strategies_tensor import ELEMENTWISE, MOVEMENT, RESIZE

_SEEDS = st.integers(0, 2 ** 32 - 1)


@st.composite
def _values(draw, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(draw(_SEEDS))
    return {0: rng.choice([-32768, 32767], shape), 1: np.full(shape, rng.choice([-32768, 32767]))}.get(
        draw(st.integers(0, 7)), rng.integers(-32768, 32768, shape)).astype(np.int16)


@st.composite
def as_int16(draw, cases: SearchStrategy[Case]) -> Case:
    """The same op: scales 256 times finer, zero points 0; a layer's bias int64, now and then near 47 bits."""
    graph, given = draw(cases)
    op, tensors = graph.ops[0], list(graph.tensors)
    weights = op.inputs[1] if op.kind in WEIGHTED else -1
    for t, tensor in enumerate(tensors):
        if tensor.dtype == "int8" and t != weights:
            scale = OUTPUT_SCALE if op.kind in FIXED and t in op.outputs else tensor.quant.scale[0] / np.float32(256)
            quant = Quant.of(float(scale))
            tensors[t] = replace(tensor, dtype="int16", quant=quant,
                                 data=draw(_values(tensor.shape)) if tensor.is_const else None)
    if op.kind in WEIGHTED:
        scale, channels = tensors[weights].quant.scale, tensors[weights].shape[3 if op.kind == WEIGHTED[1] else 0]
        reach = draw(st.sampled_from([0, *[1 << 20] * 6, 1 << 34, 1 << 46]))
        data = np.random.default_rng(draw(_SEEDS)).integers(-reach, reach, channels, endpoint=True)
        quant = Quant((tensors[data_input(op)].quant.scale * scale).astype(np.float32), np.zeros(scale.size, np.int64))
        bias = Tensor("b", data.shape, "int64", quant, data)
        if bias_input(op) >= 0:
            tensors[bias_input(op)] = bias
        else:
            tensors.append(bias)
            op = replace(op, inputs=(*op.inputs[:3 if op.kind == "TRANSPOSE_CONV" else 2], len(tensors) - 1))
    wide = _legal(graph.with_(tensors=tuple(tensors), ops=(op,)))
    if wide.tensors[0].dtype == "float32":      # ties of the finer scale
        finer = np.random.default_rng(draw(_SEEDS)).choice([1 / 128, 1 / 256], given[0].shape)
        return wide, [given[0] * finer.astype(np.float32)]
    return wide, [draw(_values(wide.tensors[t].shape)) for t in wide.inputs]


@st.composite
def requantize(draw, source: str, result: str) -> Case:
    """QUANTIZE from one to the other, at ratios of scales around that of their ranges, or anything."""
    shape = draw(st.sampled_from([(7,), (1, 5, 4, 3), (2, 3, 1, 9), (1, 40)]))
    scale, usual = draw(st.floats(2.0 ** -12, 16.0, width=32)), {"int8": 1.0, "int16": 256.0}
    ratio = usual[source] / usual[result] * draw(st.one_of(st.floats(0.25, 4.0), st.sampled_from([0.5, 1.0, 2.0]),
                                                           st.floats(2.0 ** -14, 2.0 ** 20)))
    tensors = tuple(Tensor(name, shape, dtype, Quant.of(s, draw(st.integers(-128, 127)) if dtype == "int8" else 0))
                    for name, dtype, s in (("x", source, scale), ("y", result, float(np.float32(scale * ratio)))))
    graph = _legal(Graph(tensors, (Op("QUANTIZE", (0,), (1,)),), (0,), (1,)))
    if source == "int16":
        return graph, [draw(_values(shape))]
    return graph, [np.random.default_rng(draw(_SEEDS)).integers(-128, 128, shape).astype(np.int8)]


@st.composite
def sigmoid(draw, kind: str) -> Case:
    """Input ranges of 1/100 to 100 and any others; scales at and about those powers of two that need no multiplier."""
    shape = draw(st.sampled_from([(301,), (1, 7, 5, 9), (2, 3, 1, 40)]))
    near = st.floats(1 - 2.0 ** -9, 1 + 2.0 ** -9).map(lambda factor: factor * 2.0 ** -12)
    scale = draw(st.one_of(st.floats(2.0 ** -22, 2.0 ** -8), st.floats(2.0 ** -43, 2.6), near, near.map(lambda s: 2 * s),
                           st.integers(-16, 0).map(lambda k: 2.0 ** k)))
    tensors = (Tensor("x", shape, "int16", Quant.of(scale)), Tensor("y", shape, "int16", Quant.of(OUTPUT_SCALE)))
    return _legal(Graph(tensors, (Op(kind, (0,), (1,)),), (0,), (1,))), [draw(_values(shape))]


def long_sums() -> list[Case]:
    """Layers at the ends of all ranges, whose sums leave 32 bits: four channels at a time, and the fifth alone."""
    window = {"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "padding": "VALID", "activation": "NONE"}
    found = []
    for kind, x, w, y, attrs in (
            ("FULLY_CONNECTED", (1, 1001), (5, 1001), (1, 5), {"activation": "NONE", "keep_dims": False}),
            ("CONV_2D", (1, 2, 4, 201), (5, 2, 3, 201), (1, 1, 2, 5), window)):
        fine = Quant.of(2.0 ** -10)
        tensors = (Tensor("x", x, "int16", fine), Tensor("w", w, "int8", fine, np.full(w, -128, np.int8)),
                   Tensor("b", (5,), "int64", Quant.of(2.0 ** -20), np.arange(5) << 30),
                   Tensor("y", y, "int16", Quant.of(128.0)))
        graph = verify(Graph(tensors, (Op(kind, (0, 1, 2), (3,), attrs),), (0,), (3,)))
        found.append((graph, [np.full(x, -32768, np.int16)]))
    return found


_OTHERS = {**CASES, **ELEMENTWISE, **MOVEMENT, **RESIZE}
KINDS_OF_INT16 = {kind: as_int16(_OTHERS[kind]) for kind, spec in KINDS.items()
                  if kind in _OTHERS and ("int16", "int16") in spec.dtypes and kind != "QUANTIZE"}
KINDS_OF_INT16 |= {kind: as_int16(ELEMENTWISE[kind]) for kind in ("QUANTIZE from float32", "DEQUANTIZE")}
KINDS_OF_INT16 |= {kind: sigmoid(kind) for kind in ("LOGISTIC", "TANH")}
KINDS_OF_INT16 |= {f"QUANTIZE {a} {b}": requantize(a, b) for a, b in (("int8", "int16"), ("int16", "int8"),
                                                                     ("int16", "int16"))}
