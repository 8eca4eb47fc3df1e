# SPDX-License-Identifier: Apache-2.0
"""What the structure experiments share: a finished search brought to int8 and into QEMU, as a row that is kept."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mcunas.api import build
from mcunas.budget import Budget
from mcunas.cost import estimate
from mcunas.device import validate
from mcunas.device.alone import simulated
from mcunas.graph import read_tflite
from mcunas.quantize import quantize
from mcunas.search.result import Result
from mcunas.space.price import usage
from tests.bench.nas_report import Rows, gates

INPUTS = 5          # random ones, in QEMU

__all__ = ["Rows", "finished", "gates"]


def finished(result: Result, out: Path, budget: Budget, stop: Callable[..., None]) -> dict[str, Any]:
    """Quantized, built and validated: accuracies, exact figures, mismatches, ledger."""
    limits, model = budget.for_board(result.board), quantize(result, progress=stop)
    exported = estimate(read_tflite(out / "model.tflite"), result.board, ram_bytes=limits.ram_bytes, simulator=simulated)
    report = validate(build(out / "model.tflite", result.board, out / "firmware", budget=limits), n_random=INPUTS)
    metrics, ledger = result.metrics, result.metrics["ledger"]
    return {"exported_use": usage(exported, limits), "ram_bytes": exported.ram_bytes, "flash_bytes": exported.flash_bytes,
            "cycles": exported.cycles, "macs": exported.macs, "latency_us": exported.latency_us,
            "mismatches": report.mismatches, "inputs": report.inputs, "measured_ram_bytes": report.measured.ram_bytes,
            "promised_ram_bytes": exported.ram_bytes, "validation_accuracy": metrics["validation_accuracy"],
            "float_accuracy": metrics["float_accuracy"], "int8_accuracy": model.metrics["int8_accuracy"],
            "test_images": model.metrics["test_images"], "samples": ledger["samples"] + model.metrics["ledger"]["samples"],
            "option_forwards": ledger.get("option_forwards", 0),
            "cpu_seconds": {**ledger["cpu_seconds"], "quantize": model.metrics["ledger"]["cpu_seconds"]},
            "parameters": metrics["parameters"], "facts": metrics["facts"]}
