# SPDX-License-Identifier: Apache-2.0
"""inspect: the layers of a model, and for each board what the compiler's plan takes of it."""
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from mcunas.board import Board
from mcunas.cli import main
from mcunas.compiler import compile_graph
from mcunas.graph import Graph, write_tflite
from mcunas.graph.from_torch import from_torch
from mcunas.graph.torch_lower import lower
from tests.small_models import dense


def inspected(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    with pytest.raises(SystemExit) as leave:
        main(["inspect", str(path), *options])
    said = capsys.readouterr()
    assert leave.value.code == 0, said.err
    return said.out


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Flatten(),
                         nn.Linear(512, 4)).eval()


@pytest.fixture
def graph(net: nn.Module) -> Graph:
    return from_torch(net, torch.randn(4, 3, 16, 16))


def test_ram_is_what_the_compiler_plans_on_every_board(graph: Graph, tmp_path: Path,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.tflite").write_bytes(write_tflite(graph))
    found = json.loads(inspected(tmp_path / "m.tflite", capsys, "--json"))
    assert [one["board"] for one in found["boards"]] == list(Board.keys())
    for one in found["boards"]:
        assert one["ram_bytes"] == compile_graph(graph, Board.load(one["board"])).manifest["arena_bytes"]
        assert one["fits"] and one["flash_bytes"] > 2048
    assert found["macs"] == sum(op["macs"] for op in found["ops"]) == 64 * 8 * 27 + 64 * 8 * 9 + 512 * 4
    assert [op["constant_bytes"] for op in found["ops"] if op["weights"]][:2] == [8 * 27 + 32, 8 * 9 + 32]


def test_a_model_that_fits_some_boards_says_which(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.tflite").write_bytes(write_tflite(dense(16000, 4)))      # more than the micro:bit's RAM
    found = json.loads(inspected(tmp_path / "m.tflite", capsys, "--json"))
    assert {one["board"]: one["fits"] for one in found["boards"]}["microbit"] is False
    assert any(one["fits"] for one in found["boards"])
    assert " no " in inspected(tmp_path / "m.tflite", capsys, "--board", "microbit")


def test_a_float_model_is_priced_as_int8_and_says_what_to_do(net: nn.Module, graph: Graph, tmp_path: Path,
                                                             capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.tflite").write_bytes(write_tflite(lower(net, torch.randn(1, 3, 16, 16)).graph, floats=True))
    said = inspected(tmp_path / "m.tflite", capsys, "--board", "mps2-an386")
    assert "float32" in said and "mcunas import m.tflite --representative DATA.npz" in said
    found = json.loads(inspected(tmp_path / "m.tflite", capsys, "--board", "mps2-an386", "--json"))
    planned = compile_graph(graph, Board.load("mps2-an386")).manifest["arena_bytes"]
    assert found["float"] and found["boards"][0]["ram_bytes"] == planned


def test_what_is_no_tflite_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\x08\x07")
    with pytest.raises(SystemExit) as leave:
        main(["inspect", str(tmp_path / "m.onnx")])
    said = capsys.readouterr().err
    assert leave.value.code == 2 and said.count("\n") == 1 and "mcunas import m.onnx" in said


def test_a_name_steers_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = dense(8, 4)
    named = graph.with_(tensors=tuple(replace(tensor, name=f"\x1b[2J\n{tensor.name}") for tensor in graph.tensors))
    (tmp_path / "net.tflite").write_bytes(write_tflite(named))
    said = inspected(tmp_path / "net.tflite", capsys, "--board", "microbit")
    assert 'input "?[2J?x"' in said and "\x1b" not in said
