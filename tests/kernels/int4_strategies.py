# SPDX-License-Identifier: Apache-2.0
"""Layers with int4 weights: the layers of other strategies, whose weights are made small and their scales large."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from mcunas.graph.nibbles import LOW, with_int4
from tests.kernels.bundle import Case
from tests.kernels.strategies import _legal


@st.composite
def as_int4(draw, cases: SearchStrategy[Case]) -> Case:
    """The same layer with weights of -7..7, or now and then of -8..7."""
    graph, inputs = draw(cases)
    narrow, place = with_int4(graph, [0]), graph.ops[0].inputs[1]
    if draw(st.integers(0, 2)) == 0:
        tensors = list(narrow.tensors)
        tensors[place] = replace(tensors[place], data=np.maximum(graph.tensors[place].data >> 4, LOW))
        narrow = narrow.with_(tensors=tuple(tensors))
    return _legal(narrow), inputs
