# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Lite Micro's arena, computed, against the arenas that it was measured to use (tflite-micro 90b983c2)."""
from __future__ import annotations

from pathlib import Path

import pytest

from mcunas.cost.fit import layers
from mcunas.cost.tflm_arena import greedy, tflm_arena
from mcunas.graph import read_tflite
from mcunas.graph.to_int16 import STEPS, can_be_int16, widened

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


@pytest.mark.parametrize(("kind", "measured"), [("CONV_2D", 9_908), ("MEAN", 2_148), ("TRANSPOSE_CONV", 23_892)])
def test_arena_of_one_layer_on_int16_activations(kind: str, measured: int) -> None:
    found = [g for g in layers(12) if g.ops[0].kind == kind and g.tensors[g.inputs[0]].dtype == "int16"]
    assert tflm_arena(found[1]).total_bytes == pytest.approx(measured, rel=0.007)


def test_greedy_places_the_largest_first_and_of_equal_ones_the_later() -> None:
    # 30 and 25 at 0, the later 20 at 30; the gap from 25 to 30 is too small for the other 20: it goes on top
    assert greedy([(25 * 16, 0, 1), (20 * 16, 1, 2), (20 * 16, 2, 3), (30 * 16, 3, 4)]) == 70 * 16
    assert greedy([(1, 0, 1)]) == 16
    assert greedy([]) == 0
