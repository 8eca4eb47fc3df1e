# SPDX-License-Identifier: Apache-2.0
"""The whole chain on the target: MLPerf Tiny's models on six cores, and a validation that can fail."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mcunas import api, device
from mcunas.board import Board
from mcunas.device import counts
from mcunas.device.validate import is_promised
from mcunas.errors import InputError, ToolMissing
from mcunas.graph import Graph, Op, Quant, Tensor, write_tflite
from mcunas.graph.oracle import Oracle
from tests.small_models import dense

MODELS = ("ad01_int8", "kws_ref_model", "pretrainedResnet_quant", "vww_96_int8")
CORES = [key for key in Board.cores() if key != "microbit"]
KEYS = {"board", "model", "inputs", "mismatches", "ram_bytes", "flash_bytes", "code_bytes", "weight_bytes",
        "stack_bytes", "instructions", "cycles", "cycles_source", "predicted"}


@pytest.mark.parametrize("key", CORES)
@pytest.mark.parametrize("model", MODELS)
def test_mlperf_tiny_is_exact_on_every_core(model: str, key: str, data_dir: Path, tmp_path: Path) -> None:
    image = api.build(data_dir / "mlperf_tiny" / f"{model}.tflite", key, tmp_path)
    report = device.validate(image)
    assert (report.inputs, report.mismatches, report.first_mismatch) == (20, 0, None)
    figures, build = report.measured, image.manifest["build"]
    assert figures.ram_bytes == report.predicted.ram_bytes == build["arena_bytes"]
    assert figures.stack_bytes < build["stack_bytes"]
    assert figures.flash_bytes == figures.code_bytes + figures.weight_bytes == len(image.bin.read_bytes())
    assert report.to_json().keys() >= KEYS and report.to_json()["predicted"].keys() < KEYS


def changed(graph: Graph, index: int, data: np.ndarray) -> Graph:
    """`graph` with another constant."""
    tensors = list(graph.tensors)
    tensors[index] = replace(tensors[index], data=data.astype(tensors[index].data.dtype))
    return replace(graph, tensors=tuple(tensors))


def test_an_arena_may_end_within_a_word_that_nothing_touches() -> None:
    assert is_promised(4198, 4200) and is_promised(4200, 4200)
    assert not is_promised(4196, 4200) and not is_promised(4201, 4200)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> device.Image:
    return api.build(dense(40, 6), "mps2-an386", tmp_path_factory.mktemp("image"))


def test_differing_bytes_are_counted_and_the_first_is_named(image: device.Image, tmp_path: Path) -> None:
    other = tmp_path / "other.tflite"
    bias = np.array([0, 0, 100_000, 0, -100_000, 0])
    other.write_bytes(write_tflite(changed(dense(40, 6), 2, bias)))
    report = device.validate(replace(image, tflite=other), n_random=3)
    assert not report.passed and 0 < report.mismatches <= 6
    first = report.first_mismatch
    assert first is not None and (first.output, first.expected) in ((0, 127), (0, 128))
    assert first.byte in (2, 4) and first.found != first.expected
    assert report.to_json()["first_mismatch"]["byte"] == first.byte


def test_own_inputs_are_compared_too(image: device.Image) -> None:
    inputs = [np.full((1, 40), value, np.int8) for value in (-128, 0, 127)]
    report = device.validate(image, inputs)
    assert (report.inputs, report.mismatches) == (3, 0)


def test_run_and_stream_give_the_oracles_outputs(image: device.Image) -> None:
    inputs = np.random.default_rng(1).integers(-128, 128, (30, 40)).astype(np.int8)
    oracle = Oracle(dense(40, 6))
    expected = np.array([oracle.outputs([x[None]])[0][0] for x in inputs])
    seen: list[int] = []
    assert np.array_equal(device.stream(image, inputs, seen.append), expected)
    assert seen == list(range(1, 31))
    assert np.array_equal(device.run(image, inputs[4][None])[0], expected[4:5])


@pytest.mark.parametrize("wrong", [np.zeros((1, 41), np.int8), np.zeros((1, 40), np.float32),
                                   [np.zeros((1, 40), np.int8)] * 2])
def test_an_input_of_another_size_or_type_is_refused(image: device.Image, wrong: object) -> None:
    with pytest.raises(InputError):
        device.run(image, wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["microbit", "mps2-an386"])
def test_float_inputs_and_outputs(key: str, tmp_path: Path) -> None:
    inner = Tensor("q", (1, 20), "int8", Quant.of(0.05, 3))
    tensors = (Tensor("x", (1, 20), "float32"), inner, Tensor("y", (1, 20), "float32"))
    ops = (Op("QUANTIZE", (0,), (1,), {}), Op("DEQUANTIZE", (1,), (2,), {}))
    report = device.validate(api.build(Graph(tensors, ops, (0,), (2,), "borders"), key, tmp_path), n_random=4)
    assert report.passed and report.inputs == 4


def test_cycles_are_modelled_and_say_so(image: device.Image) -> None:
    report = device.validate(image, n_random=1)
    assert report.measured.cycles == device.profile(image).total.cycles
    assert report.cycles_source.startswith("modelled: ") and "cortex-m4 (±" in report.cycles_source


def test_where_qemu_takes_no_plugin_cycles_are_instructions_times_a_constant(
        image: device.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "_takes_plugins", lambda qemu: False)
    report = device.validate(image, n_random=1)
    assert report.measured.cycles == round(report.measured.instructions * image.board.cycle_model.cycles_per_instruction)
    assert "does not take the counting plugin" in report.cycles_source
    with pytest.raises(ToolMissing, match="use QEMU 5 to 8"):
        device.profile(image)


def test_an_image_without_its_model_cannot_be_validated(image: device.Image) -> None:
    with pytest.raises(InputError, match=r"no model\.tflite beside it"):
        device.validate(replace(image, tflite=None))
