# SPDX-License-Identifier: Apache-2.0
"""One measurement: an MLPerf Tiny model compiled for a board and a goal, run in QEMU against the oracle.

Everything here is deterministic: bytes and executed instructions. Results are JSON with the versions and the commit.
"""
from __future__ import annotations

import dataclasses
import functools
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from mcunas.board import Board
from mcunas.compiler import compile_graph
from mcunas.device import build, validate
from mcunas.device.toolchain import compiler_version, tool
from mcunas.graph import read_tflite
from tests.device.stubs import stub

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
MODELS = {"kws": "kws_ref_model", "ic": "pretrainedResnet_quant", "vww": "vww_96_int8", "ad": "ad01_int8"}


def model_bytes(model: str) -> bytes:
    folder = os.environ.get("MCUNAS_DATA")
    if not folder:
        sys.exit("MCUNAS_DATA is not set: it names the folder with mlperf_tiny/")
    return (Path(folder) / "mlperf_tiny" / f"{MODELS[model]}.tflite").read_bytes()


@functools.cache
def firmware_bytes(key: str, optimize: str) -> int:
    """Flash of the firmware around an empty model, built for the same goal."""
    empty = dataclasses.replace(stub("(void)arena;", arena_bytes=64, input_bytes=16), optimize=optimize)
    with tempfile.TemporaryDirectory() as folder:
        return build(empty, Board.load(key), folder).manifest["build"]["flash_bytes"]  # type: ignore[arg-type]


def measure(model: str, key: str, optimize: str, inputs: int = 20) -> dict[str, Any]:
    """Bytes and instructions of one model on one board, predicted and measured."""
    data, board = model_bytes(model), Board.load(key)
    compiled = compile_graph(read_tflite(data, model), board, optimize)
    with tempfile.TemporaryDirectory() as folder:
        report = validate(build(compiled, board, folder, tflite=data), n_random=inputs).to_json()
    own = report["flash_bytes"] - report["weight_bytes"]
    return {"model": model, "board": key, "optimize": optimize, "inputs": inputs, "mismatches": report["mismatches"],
            "arena_bytes": report["ram_bytes"], "predicted_arena_bytes": compiled.plan.arena_bytes,
            "bound_bytes": compiled.plan.bound_bytes, "flash_bytes": report["flash_bytes"],
            "weight_bytes": report["weight_bytes"], "overhead_bytes": own,
            "model_overhead_bytes": own - firmware_bytes(key, optimize), "stack_bytes": report["stack_bytes"],
            "macs": compiled.manifest["macs"], "instructions": report["instructions"], "cycles": report["cycles"],
            "cycles_error_percent": board.cycle_model.error_percent, "kernels": list(compiled.kernels)}


def environment() -> dict[str, str]:
    names = ("numpy", "tflite-micro", "flatbuffers")
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    gcc = compiler_version(tool("arm-none-eabi-gcc"))
    return {"commit": commit, "python": platform.python_version(), "arm-none-eabi-gcc": gcc,
            **{name: metadata.version(name) for name in names}}


def markdown(header: list[str], rows: Iterable[list[Any]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(f"{v:,}" if isinstance(v, int) else str(v) for v in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def save(name: str, rows: list[dict[str, Any]], text: str) -> None:
    """docs/results/<name>.json and .md; the table also goes to stdout."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    document = {"environment": environment(), "seed": 0, "rows": rows}
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text(text)
    print(text)
