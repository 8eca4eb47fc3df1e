# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Lite Micro's arena, computed, against the arenas that it was measured to use (tflite-micro 90b983c2)."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mcunas.cost.fit_layers import one_op
from mcunas.cost.tflm_arena import greedy, tflm_arena
from mcunas.graph import Graph, read_tflite
from mcunas.graph.to_int16 import STEPS, can_be_int16, in_int16, widened

MEASURED_BYTES = {"kws_ref_model": (22_820, 27_348), "pretrainedResnet_quant": (54_996, 55_028),
                  "vww_96_int8": (100_708, 100_772), "ad01_int8": (2_580, 9_268)}      # Cortex-M4, Cortex-M55


@pytest.mark.parametrize("model", MEASURED_BYTES)
def test_arena_is_within_half_a_percent_of_the_measured_one(model: str, data_dir: Path) -> None:
    graph = read_tflite((data_dir / "mlperf_tiny" / f"{model}.tflite").read_bytes(), model)
    for isa, measured in zip(("dsp", "mve"), MEASURED_BYTES[model]):
        assert tflm_arena(graph, isa).total_bytes == pytest.approx(measured, rel=0.005)


WIDE_BYTES = {"kws_ref_model": 41_332, "pretrainedResnet_quant": 106_388, "ad01_int8": 3_892}     # Cortex-M4


@pytest.mark.parametrize("model", WIDE_BYTES)
def test_arena_on_int16_activations_is_the_measured_one(model: str, data_dir: Path) -> None:
    graph = read_tflite((data_dir / "mlperf_tiny" / f"{model}.tflite").read_bytes(), model)
    graph = widened(graph, {t: graph.tensors[t].quant.per_tensor[0] / STEPS for t in can_be_int16(graph)})
    assert tflm_arena(graph).total_bytes == pytest.approx(WIDE_BYTES[model], rel=0.005)


POINT = {"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "activation": "RELU", "padding": "SAME"}
TWICE = {"stride_h": 2, "stride_w": 2, "activation": "NONE", "padding": "VALID"}
LAYERS = [(one_op("CONV_2D", [(1, 8, 8, 16), (54, 1, 1, 16)], POINT), 9_908),
          (one_op("MEAN", [(1, 6, 6, 22)], {"keep_dims": False}, {1: np.array([1, 2], np.int32)}), 2_148),
          (one_op("TRANSPOSE_CONV", [(1, 8, 8, 2), (8, 3, 3, 2)], TWICE, {0: np.array([1, 17, 17, 8], np.int32)}), 23_892)]


@pytest.mark.parametrize(("layer", "measured"), LAYERS, ids=[layer.ops[0].kind for layer, _ in LAYERS])
def test_arena_of_one_layer_on_int16_activations(layer: Graph, measured: int) -> None:
    assert tflm_arena(in_int16(layer)).total_bytes == pytest.approx(measured, rel=0.007)


def test_greedy_places_the_largest_first_and_of_equal_ones_the_later() -> None:
    # 30 and 25 at 0, the later 20 at 30; the gap from 25 to 30 is too small for the other 20: it goes on top
    assert greedy([(25 * 16, 0, 1), (20 * 16, 1, 2), (20 * 16, 2, 3), (30 * 16, 3, 4)]) == 70 * 16
    assert greedy([(1, 0, 1)]) == 16
    assert greedy([]) == 0
