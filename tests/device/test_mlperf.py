# SPDX-License-Identifier: Apache-2.0
"""The four MLPerf Tiny models on every emulated core: the oracle's bytes, and the RAM that the plan promised."""
from __future__ import annotations

from pathlib import Path

import pytest

from mcunas.board import Board
from mcunas.compiler import compile_graph
from mcunas.device import build, validate
from mcunas.graph import read_tflite

MODELS = ("kws_ref_model", "pretrainedResnet_quant", "vww_96_int8", "ad01_int8")
BOARDS = ("mps2-an385-m0plus", "mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547")


@pytest.mark.parametrize("key", BOARDS)
@pytest.mark.parametrize("name", MODELS)
def test_every_output_byte_and_the_arena_are_as_promised(name: str, key: str, data_dir: Path, tmp_path: Path) -> None:
    data = (data_dir / "mlperf_tiny" / f"{name}.tflite").read_bytes()
    board = Board.load(key)
    compiled = compile_graph(read_tflite(data, name), board)
    report = validate(build(compiled, board, tmp_path, tflite=data), n_random=20).to_json()
    assert report["inputs"] == 20
    assert report["mismatches"] == 0, report["first_mismatch"]
    assert report["ram_bytes"] == report["predicted"]["ram_bytes"] == compiled.manifest["arena_bytes"]
    assert report["stack_bytes"] <= board.reserve.stack
