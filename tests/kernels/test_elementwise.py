# SPDX-License-Identifier: Apache-2.0
"""Element-wise ops: numpy reference = TFLite Micro = generated C, every byte."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcunas.errors import InputError
from mcunas.graph import Graph, Op, Quant, Tensor, reference, verify
from tests.kernels.agreement import c_differences
from tests.kernels.bundle import bundle, draw
from tests.kernels.strategies_tensor import ELEMENTWISE
from tests.oracle import differences

_KINDS = pytest.mark.parametrize("kind", sorted(ELEMENTWISE))


@_KINDS
@settings(max_examples=150)
@given(st.data())
def test_reference_equals_tflite_micro(kind, data):
    assert differences(*data.draw(ELEMENTWISE[kind])) == []


@_KINDS
def test_c_equals_reference(kind, tmp_path):
    assert c_differences(bundle(draw(ELEMENTWISE[kind], 25)), tmp_path) == []


@_KINDS
def test_c_stays_within_its_tensors(kind, tmp_path):
    assert c_differences(draw(ELEMENTWISE[kind], 1, 100)[0], tmp_path) == []


@pytest.mark.parametrize(("kind", "out_scale"), [("ADD", 4.0), ("SUB", 4.0), ("MUL", 16.0)])
def test_every_pair_of_bytes_on_scales_full_of_rounding_ties(kind, out_scale, tmp_path):
    byte = np.arange(-128, 128).astype(np.int8)
    tensors = (Tensor("a", (256, 1), "int8", Quant.of(1.0, 3)), Tensor("b", (256,), "int8", Quant.of(0.5, -1)),
               Tensor("y", (256, 256), "int8", Quant.of(out_scale, 5)))
    graph = verify(Graph(tensors, (Op(kind, (0, 1), (2,), {"activation": "NONE"}),), (0, 1), (2,)))
    inputs = [byte.reshape(256, 1), byte]
    assert differences(graph, inputs) == []
    assert c_differences((graph, inputs), tmp_path) == []


def test_hard_swish_forms_its_multiplier_in_double():
    """With these scales the multiplier of a division in float32 would differ in its last of 15 bits."""
    quants = (Quant.of(float.fromhex("0x1.7df5bep-6"), 11), Quant.of(float.fromhex("0x1.b3c5f8p-6"), 81))
    graph = Graph(tuple(Tensor(n, (256,), "int8", q) for n, q in zip("xy", quants)), (Op("HARD_SWISH", (0,), (1,)),),
                  (0,), (1,))
    assert differences(graph, [np.arange(-128, 128).astype(np.int8)]) == []


def _unary(kind, before, after, source="int8"):
    return Graph((Tensor("x", (4,), source, before), Tensor("y", (4,), "int8", after)), (Op(kind, (0,), (1,)),),
                 (0,), (1,))


def test_quantize_saturates_infinities_and_maps_nan_to_the_zero_point(tmp_path):
    graph = verify(_unary("QUANTIZE", None, Quant.of(0.5, -7), "float32"))
    x = np.array([np.inf, -np.inf, np.nan, 1e30], np.float32)
    assert reference.run(graph, [x])[1].tolist() == [127, -128, -7, 127]
    assert c_differences((graph, [x]), tmp_path) == []


@pytest.mark.parametrize(("kind", "before", "after", "reason"), [
    ("RELU6", Quant.of(0.5), Quant.of(0.25), "does not rescale"),
    ("HARD_SWISH", Quant.of(1.0), Quant.of(2.0 ** -8), "output scale"),
    ("RELU", Quant.of(1.0), Quant.of(2.0 ** -24), "ratio of scales"),
    ("LOGISTIC", Quant.of(2.0 ** -29), Quant.of(1 / 256, -128), "input scale"),
])
def test_what_tflite_micro_miscomputes_is_refused(kind, before, after, reason):
    with pytest.raises(InputError, match=reason):
        verify(_unary(kind, before, after))


@pytest.mark.parametrize("kind", ["ADD", "SUB"])
def test_an_output_scale_that_stops_tflite_micro_is_refused(kind):
    scales = (("a", 1.0), ("b", 0.5), ("y", 2.0 ** -19))
    tensors = tuple(Tensor(name, (3,), "int8", Quant.of(scale)) for name, scale in scales)
    with pytest.raises(InputError, match="output scale"):
        verify(Graph(tensors, (Op(kind, (0, 1), (2,), {"activation": "NONE"}),), (0, 1), (2,)))
