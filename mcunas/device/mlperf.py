# SPDX-License-Identifier: Apache-2.0
"""Firmware for MLPerf Tiny's own runner (mlcommons/tiny, benchmark/runner), and the yaml files that the runner reads.

The protocol is what firmware/app speaks anyway; here the benchmarks' inputs and results are added (firmware/mlperf). The
stock scripts ask for so few inferences that a fast device ends before the ten seconds which the rules want of each of the
five windows, so tests.yaml asks for as many as take that long here.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mcunas.atomic import write_files
from mcunas.board import Board
from mcunas.device.build import Image, build
from mcunas.errors import InputError, did_you_mean
from mcunas.graph import Graph, read_tflite

WINDOW_S = 11.0         # of inferences: over 10 s, and far below the 30 s that the runner waits
WARMUPS = 5


@dataclass(frozen=True)
class Benchmark:
    """kind: of firmware/mlperf/mlperf.c. load_bytes: of one input as the runner sends it. title: the runner's own."""

    name: str
    title: str
    kind: int
    load_bytes: int
    input_shape: tuple[int, ...]
    outputs: int


BENCHMARKS = {b.name: b for b in (
    Benchmark("kws01", "keyword_spotting", 0, 490, (1, 49, 10, 1), 12),
    Benchmark("ic01", "image_classification", 1, 3072, (1, 32, 32, 3), 10),
    Benchmark("vww01", "person_detection", 1, 27648, (1, 96, 96, 3), 2),
    Benchmark("ad01", "anomoly_detection", 2, 2560, (1, 640), 640),
)}


def mlperf(model: Path, name: str, board: Board, out: Path, *, optimize: str = "cycles") -> Image:
    """Firmware of `model` as benchmark `name` in `out`, with devices.yaml and tests.yaml beside it.

    Raises InputError (no such benchmark, or the model is not for it), DoesNotFit, ToolMissing.
    """
    from mcunas.compiler import compile_graph

    if name not in BENCHMARKS:
        raise InputError(f"unknown benchmark {name!r}", "mlperf", did_you_mean(name, BENCHMARKS))
    benchmark, data = BENCHMARKS[name], _read(model)
    graph = replace(read_tflite(data), name=name)
    _check(graph, benchmark, str(model))
    compiled = compile_graph(graph, board, optimize, ram_bytes=board.ram_bytes - (2560 if benchmark.kind == 2 else 0))
    defines = (f"-DAPP_MLPERF={benchmark.kind}", f"-DAPP_WINDOW={benchmark.load_bytes // 4}u")
    image = build(compiled, board, out, tflite=data, folders=("app", "mlperf"), defines=defines)
    count = inferences(_latency_s(graph, board, optimize))
    write_files(out, {"devices.yaml": devices_yaml(board, board.console.usb or ("0000:0000",)),
                      "tests.yaml": script_yaml(benchmark, count, WARMUPS),
                      "tests_accuracy.yaml": script_yaml(benchmark, None, 0)})
    return image


def inferences(latency_s: float) -> int:
    """Per window, so that it lasts WINDOW_S."""
    return max(1, math.ceil(WINDOW_S / latency_s))


def devices_yaml(board: Board, usb: Sequence[str]) -> str:
    """The runner's list of devices: one, by the USB ids of the port that the board's console appears as."""
    lines = [f"- name: {board.key}", "  type: dut", "  preference: 10", "  baud:", f"    energy: {board.console.baud}",
             f"    performance: {board.console.baud}", f"    accuracy: {board.console.baud}", "  usb:"]
    vendors: dict[str, list[str]] = {}
    for vendor, product in (one.split(":") for one in usb):
        vendors.setdefault(vendor, []).append(product)
    for vendor, products in vendors.items():
        lines += [f"    0x{vendor}:", *(f"      - 0x{product}" for product in products)]
    return "\n".join(lines) + "\n"


def script_yaml(benchmark: Benchmark, count: int | None, warmups: int) -> str:
    """The runner's script for one benchmark: performance with `count` inferences a window, or accuracy over all files."""
    loop, infer = ("loop 5", f"infer {count} {warmups}") if count else ("loop", "infer 1 0")
    return (f"{benchmark.name}:\n  name: {benchmark.title}\n  model: {benchmark.name}\n  truth_file: y_labels.csv\n"
            f"  script:\n    - {loop}:\n      - download\n      - {infer}\n")


def _check(graph: Graph, benchmark: Benchmark, where: str) -> None:
    inputs, outputs = ([graph.tensors[i] for i in part] for part in (graph.inputs, graph.outputs))
    elements = math.prod(benchmark.input_shape)
    if len(inputs) != 1 or len(outputs) != 1 or inputs[0].dtype != "int8" or outputs[0].dtype != "int8":
        raise InputError(f"{benchmark.name} takes a model with one int8 input and one int8 output", where)
    if inputs[0].elements != elements or outputs[0].elements != benchmark.outputs:
        raise InputError(f"{benchmark.name} takes a model of {elements} inputs and {benchmark.outputs} outputs, this one "
                         f"has {inputs[0].elements} and {outputs[0].elements}", where, "name the benchmark that it is for")


def _latency_s(graph: Graph, board: Board, optimize: str) -> float:
    from mcunas.cost import estimate

    latency_us = estimate(graph, board, goal=optimize).latency_us
    assert latency_us is not None       # every board has cycles
    return latency_us / 1e6


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the model ({error.strerror})", str(path), "name a .tflite file") from None
