# SPDX-License-Identifier: Apache-2.0
"""validate, run and report on a small model in QEMU: the JSON that benchmarks rely on, the exit status, the report."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mcunas.cli import main
from mcunas.graph import read_tflite, reference, write_tflite
from tests.small_models import dense

CONTRACT = {"board", "model", "inputs", "mismatches", "ram_bytes", "flash_bytes", "code_bytes", "weight_bytes",
            "stack_bytes", "instructions", "cycles", "cycles_source", "predicted"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("a model") / "dense layer.tflite"
    path.write_bytes(write_tflite(dense(8, 4)))
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """(status, stdout, stderr)."""
    with pytest.raises(SystemExit) as leave:
        main([str(a) for a in arguments])
    said = capsys.readouterr()
    return leave.value.code, said.out, said.err


def test_the_contract_of_validate(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, error = run(capsys, "validate", model, "--board", "mps2-an385", "--inputs", 3, "--json")
    found = json.loads(out)
    assert (status, error) == (0, "")
    assert set(found) >= CONTRACT and set(found["predicted"]) <= CONTRACT | {"instructions"}
    assert found["board"] == "mps2-an385" and found["inputs"] == 3 and found["mismatches"] == 0
    assert found["ram_bytes"] == found["predicted"]["ram_bytes"] > 0 and found["instructions"] > 0


def test_a_budget_that_is_exceeded_is_said_in_words(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, error = run(capsys, "validate", model, "--inputs", 1, "--latency", "1 us", "--json")
    assert status == 1 and json.loads(out)["passed"] is False
    assert "Latency" in error and "exceeds its budget" in error and error.count("\n") == 1


def test_the_report_of_a_validation(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "validate", model, "--inputs", 1, "--out", tmp_path / "r")[0] == 0
    assert (tmp_path / "r/firmware/firmware.elf").exists()
    page = (tmp_path / "r/report.html").read_text()
    assert "output bytes are those of tflite-micro" in page and "mcunas validate" in page
    (tmp_path / "r/report.html").unlink()
    status, out, _ = run(capsys, "report", tmp_path / "r", "--json")
    assert status == 0 and json.loads(out)["match"]["mismatches"] == 0
    assert (tmp_path / "r/report.html").read_text() == page


def test_a_second_validation_keeps_what_belongs_to_the_model(model: Path, tmp_path: Path,
                                                             capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "validate", model, "--inputs", 1, "--out", tmp_path)
    path = tmp_path / "report.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "accuracy": {"metric": "accuracy", "float": 1.0,
                                "int8_host": 1.0, "int8_board": 1.0, "images": 1}}))
    run(capsys, "validate", model, "--inputs", 2, "--out", tmp_path)
    found = json.loads(path.read_text())
    assert found["accuracy"]["float"] == 1.0 and len(found["commands"]) == 2
    other = tmp_path / "other.tflite"
    other.write_bytes(write_tflite(dense(4, 4)))
    run(capsys, "validate", other, "--inputs", 1, "--out", tmp_path)
    assert "accuracy" not in json.loads(path.read_text())


def test_a_profile_may_come_first_and_another_board_gets_no_verdict_of_it(model: Path, tmp_path: Path,
                                                                           capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    for verb, board, has in (("profile", "mps2-an386", {"profile"}), ("validate", "mps2-an386", {"profile", "verdict"}),
                             ("profile", "mps2-an385", {"profile"})):
        assert run(capsys, verb, model, "--board", board, "--out", tmp_path)[0] == 0
        found = json.loads(path.read_text())
        assert found["board"]["key"] == board and found.keys() & {"profile", "verdict"} == has


def test_run_prints_what_the_reference_computes(model: Path, tmp_path: Path,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    x = np.arange(-4, 4, dtype=np.int8).reshape(1, 8)
    np.save(tmp_path / "x.npy", x)
    status, out, _ = run(capsys, "run", model, "--input", tmp_path / "x.npy", "--json")
    graph = read_tflite(model)
    expected = reference.run(graph, [x])[graph.outputs[0]]
    assert status == 0 and json.loads(out)["outputs"][0]["values"] == expected.ravel().tolist()


@pytest.mark.parametrize("array", [np.zeros((1, 7), np.int8), np.zeros((1, 8), np.float32)])
def test_run_refuses_an_input_of_another_size_or_type(model: Path, tmp_path: Path, array: np.ndarray,
                                                      capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "x.npy", array)
    status, _, error = run(capsys, "run", model, "--input", tmp_path / "x.npy")
    assert status == 2 and "int8" in error and error.count("\n") == 1


def test_a_file_that_holds_no_array(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.npy").write_bytes(b"no array")
    status, _, error = run(capsys, "run", model, "--input", tmp_path / "x.npy")
    assert status == 2 and "x.npy: is not a .npy file" in error
