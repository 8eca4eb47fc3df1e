# SPDX-License-Identifier: Apache-2.0
"""Layers with weights, pools, MEAN and SOFTMAX: numpy reference = TFLite Micro = generated C, every byte.

The C is built with the address and undefined-behaviour sanitizers: in bundles of many cases, and a few cases alone,
where the arena holds nothing but that op's tensors and any byte beside them is caught.
"""
from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcunas.board import Board
from mcunas.compiler import compile_graph
from mcunas.device.host import build_host
from mcunas.graph import reference
from tests.kernels.bundle import Case, bundle, draw
from tests.kernels.strategies import CASES
from tests.oracle import differences

_KINDS = pytest.mark.parametrize("kind", sorted(CASES))
_BOARD = "mps3-an547"


def c_differences(case: Case, folder: Path) -> list[str]:
    """Where the host build of the generated C differs from the reference."""
    graph, inputs = case
    expected = reference.run(graph, inputs)
    _, taps = build_host(compile_graph(graph, Board.load(_BOARD), rewrite=False), folder).run(inputs)
    return [graph.where(i) for i, op in enumerate(graph.ops) for t in op.outputs
            if taps[t].tobytes() != expected[t].tobytes()]


@_KINDS
@settings(max_examples=200)
@given(st.data())
def test_reference_equals_tflite_micro(kind, data):
    assert differences(*data.draw(CASES[kind])) == []


@_KINDS
def test_c_equals_reference_on_many_shapes(kind, tmp_path):
    assert c_differences(bundle(draw(CASES[kind], 40)), tmp_path) == []


@_KINDS
@pytest.mark.parametrize("number", range(3))
def test_c_stays_within_its_tensors(kind, number, tmp_path):
    assert c_differences(draw(CASES[kind], 10, 100 + number)[-1], tmp_path) == []
