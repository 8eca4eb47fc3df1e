# SPDX-License-Identifier: Apache-2.0
"""MLPerf Tiny: a host that sends what the official runner sends and accepts what it accepts, to firmware in QEMU; each
benchmark's results against tflite-micro."""
from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import serial

from mcunas.board import Board
from mcunas.device.mlperf import BENCHMARKS, devices_yaml, inferences, mlperf, script_yaml
from mcunas.errors import InputError
from mcunas.graph import read_tflite
from mcunas.graph.oracle import Oracle
from tests.device.target import on_a_port

FILES = {"kws01": "kws_ref_model", "ic01": "pretrainedResnet_quant", "vww01": "vww_96_int8", "ad01": "ad01_int8"}


class Runner:
    """The runner's side of a serial port: '%' ends a command, an answer ends at a line with m-ready, '\\r' and '\\0' are
    dropped, every line comes within 5 s, those of infer within 30."""

    def __init__(self, port: str, baud: int) -> None:
        self.serial = serial.Serial(port, baud, timeout=1.0)

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        self.serial.close()

    def ask(self, command: str) -> list[str]:
        self.serial.timeout = 30.0 if command.startswith("infer") else 5.0
        self.serial.write(command.encode() + b"%")
        lines: list[str] = []
        while not lines or "m-ready" not in lines[-1]:
            data = self.serial.read_until(b"\n")
            assert data.endswith(b"\n"), f"no answer to {command!r}"
            lines.append(data.replace(b"\r", b"").replace(b"\0", b"")[:-1].decode("ascii"))
        return lines

    def load(self, data: bytes, chunk: int = 31) -> None:
        assert self.ask(f"db load {len(data)}")[-1] == "m-ready"
        for at in range(0, len(data), chunk):
            lines = self.ask(f"db {data[at:at + chunk].hex()}")
            assert lines == (["m-load-done", "m-ready"] if at + chunk >= len(data) else ["m-ready"])

    def infer(self, count: int, warmups: int) -> tuple[int, list[float]]:
        lines = self.ask(f"infer {count} {warmups}")
        laps = [int(m[1]) for line in lines if (m := re.match(r"^m-lap-us-([0-9]+)$", line))]
        results = next(m[1] for line in lines if (m := re.match(r"^m-results-\[([^]]+)\]$", line)))
        assert len(laps) == 2 and lines[0] == f"m-warmup-start-{warmups}"
        return laps[1] - laps[0], [float(text) for text in results.split(",")]


@pytest.mark.parametrize("name", FILES)
def test_a_benchmark_is_run_as_the_runner_runs_it(name: str, data_dir: Path, tmp_path: Path) -> None:
    path, benchmark = data_dir / "mlperf_tiny" / f"{FILES[name]}.tflite", BENCHMARKS[name]
    image = mlperf(path, name, Board.load("mps2-an386"), tmp_path)
    graph = read_tflite(path)
    sent, given = _input(benchmark, graph)
    expected = Oracle(graph, path.read_bytes()).outputs([given])[0].astype(np.float64)
    out = graph.tensors[graph.outputs[0]].quant
    real = (expected - out.zero_point[0]) * out.scale[0]
    with on_a_port(image) as (port, _), Runner(port, image.board.console.baud) as runner:
        names = [m[2] for line in runner.ask("name") if (m := re.match(r"^m-(name)-dut-\[([^]]+)]$", line))]
        assert names == ["mcunas"]
        profile = dict(m.groups() for line in runner.ask("profile")
                       if (m := re.match(r"^m-(model|profile)-\[([^]]+)]$", line)))
        assert profile["model"] == name and profile["profile"]
        runner.serial.close()                           # and opens the port again for the script
        runner.serial.open()
        runner.load(sent)
        microseconds, results = runner.infer(2, 1)
        assert runner.infer(4, 0) == (pytest.approx(2 * microseconds, rel=0.02), results)
        assert runner.ask("results")[0].startswith("m-results-[")
        assert re.match(r"^m-lap-us-[0-9]+$", runner.ask("timestamp")[0])
        assert runner.ask("nonsense")[0].startswith("e-[Unknown command")
    if name == "ad01":
        error = np.mean((np.frombuffer(sent, "<f4") - real.ravel()) ** 2)
        assert len(results) == 1 and results[0] == pytest.approx(error, abs=0.002 + 1e-4 * error)
    else:
        assert results == pytest.approx(real.ravel(), abs=0.0006) and sum(results) > 0.9


def _input(benchmark, graph) -> tuple[bytes, np.ndarray]:
    """(what the runner sends, the model's own input)."""
    draw, tensor = np.random.default_rng(3), graph.tensors[graph.inputs[0]]
    if benchmark.kind == 2:
        window = draw.normal(0, 20, 640).astype("<f4")
        q = np.clip(np.round(window / np.float32(tensor.quant.scale[0]) + tensor.quant.zero_point[0]), -128, 127)
        return window.tobytes(), q.astype(np.int8).reshape(tensor.shape)
    data = draw.integers(0, 256, benchmark.load_bytes, dtype=np.uint8)
    q = data.view(np.int8) if benchmark.kind == 0 else (data.astype(int) - 128).astype(np.int8)
    return data.tobytes(), q.reshape(tensor.shape)


def test_the_files_for_the_runner_are_what_it_parses() -> None:
    yaml = pytest.importorskip("yaml", reason="pyyaml is not installed")
    board = Board.load("nucleo-l4r5zi")
    (device,) = yaml.safe_load(devices_yaml(board, board.console.usb))
    assert device["type"] == "dut" and device["usb"][0x0483] == [0x374B, 0x374E]
    assert device["baud"]["performance"] == board.console.baud
    script = yaml.safe_load(script_yaml(BENCHMARKS["kws01"], 150, 5))["kws01"]
    assert script["model"] == "kws01" and script["script"] == [{"loop 5": ["download", "infer 150 5"]}]
    accuracy = yaml.safe_load(script_yaml(BENCHMARKS["ad01"], None, 0))["ad01"]
    assert accuracy["script"] == [{"loop": ["download", "infer 1 0"]}]


@pytest.mark.parametrize("latency_s", [1e-4, 0.043, 0.7, 9.0])
def test_a_window_lasts_long_enough_and_not_too_long(latency_s: float) -> None:
    assert 10 < inferences(latency_s) * latency_s < 30


def test_a_model_of_another_benchmark_is_refused(data_dir: Path, tmp_path: Path) -> None:
    model = data_dir / "mlperf_tiny" / "kws_ref_model.tflite"
    with pytest.raises(InputError, match="ic01 takes a model of 3072 inputs and 10 outputs, this one has 490 and 12"):
        mlperf(model, "ic01", Board.load("mps2-an386"), tmp_path)
    with pytest.raises(InputError, match="unknown benchmark 'kws1'; did you mean 'kws01'"):
        mlperf(model, "kws1", Board.load("mps2-an386"), tmp_path)
