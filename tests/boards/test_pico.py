# SPDX-License-Identifier: Apache-2.0
"""The Pico in an emulator of its own, rp2040js, of other authors than Unicorn's model of the chip here: boot stage, clocks,
console, timer and SysTick, and a network whose bytes are tflite-micro's.

MCUNAS_RP2040JS: the package's folder, after `npm install rp2040js@1.4.1`: node_modules/rp2040js.
"""
from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mcunas import api
from mcunas.cost import estimate
from mcunas.device.random_input import random_inputs
from mcunas.graph import read_tflite
from mcunas.graph.oracle import Oracle

PACKAGE = os.environ.get("MCUNAS_RP2040JS")


@pytest.mark.skipif(PACKAGE is None or shutil.which("node") is None, reason="MCUNAS_RP2040JS or node is not there")
def test_a_network_runs_from_the_boot_stage_on(data_dir: Path, tmp_path: Path) -> None:
    model = data_dir / "mlperf_tiny" / "ad01_int8.tflite"
    image, graph = api.build(model, "pico", tmp_path), read_tflite(model)
    done = subprocess.run(["node", str(Path(__file__).with_name("pico.mjs")), str(Path(PACKAGE).resolve()), str(image.bin),
                           "board", "seed 7", "infer 1", "out", "bench", "mem"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    board, _, _, out, bench, memory = (answer[0] for answer in found["answers"])
    assert found["boot"][-1] == "m-init-done" and found["core_hz"] == image.board.clock_hz == 125_000_000
    assert found["baud"] == pytest.approx(image.board.console.baud, rel=0.005)
    assert "missing=0" in board and int(re.search(r"id=(\d+)", board)[1]) & 0x0FFFFFFF == image.board.flashing.chip_id.value
    inputs = random_inputs(7, [(tuple(t["shape"]), t["dtype"]) for t in image.manifest["inputs"]])
    expected = b"".join(array.tobytes() for array in Oracle(graph, model.read_bytes()).outputs(inputs))
    assert out == f"m-out-[{expected.hex()}]"
    assert f"arena_used={image.manifest['arena_bytes']}," in memory
    # Its cycles are of a core whose flash is always in the cache.
    ticks = int(re.search(r"ticks=(\d+)", bench)[1])
    assert 0.7 < ticks / estimate(graph, image.board).cycles < 1.1
