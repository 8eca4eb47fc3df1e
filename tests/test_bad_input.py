# SPDX-License-Identifier: Apache-2.0
"""Whatever a user gives: one line with what and what to do, exit 2 (1 for "does not fit"), nothing half-written."""
from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcunas.cli import main
from mcunas.errors import McunasError
from mcunas.graph import Graph, read_tflite, write_tflite
from tests.small_models import dense


@pytest.fixture(scope="module")
def valid() -> bytes:
    return write_tflite(dense(8, 4))


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Run a verb on a model; it must end with that status and one line, and leave the output folder unmade."""
    def run(model: bytes, status: int, *options: str, verb: str = "compile") -> str:
        path, out = tmp_path / "model.tflite", tmp_path / "out"
        path.write_bytes(model)
        with pytest.raises(SystemExit) as leave:
            main([verb, str(path), "--out", str(out), *options])
        said = capsys.readouterr()
        assert leave.value.code == status, said.err
        assert said.out == "" and said.err.startswith("error: ") and said.err.count("\n") == 1
        assert not out.exists()
        return said.err
    return run


@pytest.mark.parametrize("verb", ["compile", "build", "validate"])
def test_a_file_that_is_no_model(refused, verb: str) -> None:
    assert "not a .tflite file" in refused(b"hello, world, this is text", 2, verb=verb)
    assert "not a .tflite file" in refused(b"", 2, verb=verb)


@pytest.mark.parametrize("verb", ["compile", "build", "validate"])
def test_a_model_without_its_end(refused, valid: bytes, verb: str) -> None:
    assert "model.tflite" in refused(valid[:len(valid) // 2], 2, verb=verb)


def test_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leave:
        main(["compile", str(tmp_path / "absent.tflite"), "--out", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert leave.value.code == 2 and "absent.tflite" in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_names_that_are_no_text(valid: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file's name is any bytes; of a board's or a folder's, too, nothing may come in the way."""
    path, out = tmp_path / "m\udcff'ö\".tflite", tmp_path / "o\udcff"
    path.write_bytes(valid)
    for verb in ("compile", "build", "validate"):
        with pytest.raises(SystemExit) as leave:
            main([verb, str(path), "--out", str(out)])
        said = capsys.readouterr()
        assert (leave.value.code, said.err) == (0, ""), said.err
    assert (out / "report.html").is_file() and read_tflite(path).name == "m?'ö\""


def edited(model: bytes, change: Callable[[Any], None]) -> bytes:
    """The file with `change` made to its fields (flatbuffers' object interface)."""
    import flatbuffers
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    fields = schema.ModelT.InitFromPackedBuf(model, 0)
    change(fields)
    builder = flatbuffers.Builder(1024)
    builder.Finish(fields.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_a_float_model(refused, valid: bytes) -> None:
    def to_float(fields: Any) -> None:
        for tensor in fields.subgraphs[0].tensors:
            elements = int(np.prod(tensor.shape))
            if fields.buffers[tensor.buffer].data is not None:
                fields.buffers[tensor.buffer].data = np.zeros(4 * elements, np.uint8)
            tensor.type, tensor.quantization = 0, None

    said = refused(edited(valid, to_float), 2)
    assert "float32, not int8" in said and "quantize it" in said


def test_an_operator_that_is_not_supported_is_named(refused, valid: bytes) -> None:
    segment_sum = 125

    def to_segment_sum(fields: Any) -> None:
        fields.operatorCodes[0].builtinCode = fields.operatorCodes[0].deprecatedBuiltinCode = segment_sum
        fields.subgraphs[0].operators[0].builtinOptions, fields.subgraphs[0].operators[0].builtinOptionsType = None, 0

    said = refused(edited(valid, to_segment_sum), 2)
    assert 'op 0 SEGMENT_SUM (tensor "y")' in said and "FULLY_CONNECTED" in said


@pytest.mark.parametrize("verb", ["compile", "build", "validate"])
def test_an_unknown_board_gets_a_suggestion(refused, valid: bytes, verb: str) -> None:
    assert "did you mean 'mps2-an386'" in refused(valid, 2, "--board", "mps2-an38", verb=verb)


@pytest.mark.parametrize(("graph", "what"), [(dense(16000, 4), "arena"), (dense(4000, 100), "weights")])
def test_a_model_that_does_not_fit_is_status_1(refused, graph: Graph, what: str) -> None:
    said = refused(write_tflite(graph), 1, "--board", "microbit")
    assert what in said and "larger board" in said


def test_a_missing_toolchain_is_named(refused, valid: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert "arm-none-eabi-gcc" in refused(valid, 2, verb="build")


def test_an_output_folder_that_is_a_file(valid: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.tflite").write_bytes(valid)
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(SystemExit) as leave:
        main(["compile", str(tmp_path / "model.tflite"), "--out", str(tmp_path / "taken")])
    assert leave.value.code == 2 and capsys.readouterr().err.count("\n") == 1
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize("verb", ["compile", "build", "validate"])
@pytest.mark.parametrize(("option", "value", "what"), [
    ("--ram", "0", "not positive"), ("--ram", "", "cannot read ''"), ("--ram", "9" * 400, "cannot read '999"),
    ("--ram", "abc", "write it like '64 KiB'"), ("--ram", "-4", "cannot read '-4'"),
    ("--ram", "900 MiB", "give at most"), ("--optimize", "cycels", "not one of 'ram', 'cycles'"),
    ("--tuned", "absent.json", "cannot be read"), ("--tuned", ".", "cannot be read"),
])
def test_options_that_cannot_be(refused, valid: bytes, verb: str, option: str, value: str, what: str) -> None:
    assert what in refused(valid, 2, option, value, verb=verb)


_LAYER = '{"index": 0, "variant": "dsp", "cycles": {}}'


@pytest.mark.parametrize(("text", "what"), [
    ("", "is not a tuning"), ("{", "is not a tuning"), ("[]", "is not a tuning"), ("\x00\xff", "is not a tuning"),
    ('{"layers": 3}', "is not a tuning"), ('{"layers": [{"index": 1e999}]}', "is not a tuning"),
    (f'{{"layers": [{_LAYER}], "core": "cortex-m4", "optimize": "cycles"}}', "is not a tuning"),
    (f'{{"layers": [{_LAYER}], "core": "cortex-m4", "optimize": "cycles", "fingerprint": "0"}}', "for another model"),
    (f'{{"layers": [{_LAYER}], "core": "cortex-m0", "optimize": "cycles", "fingerprint": "0"}}', "for another core"),
])
def test_a_tuning_that_cannot_be(refused, valid: bytes, text: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "tuned.json").write_text(text, encoding="latin-1")
    assert what in refused(valid, 2, "--tuned", str(tmp_path / "tuned.json"))


@pytest.mark.parametrize(("options", "what"), [
    (["--optimize", "ram"], "tuning for 'ram' has no effect"), (["--board", "mps2-an38"], "did you mean 'mps2-an386'"),
])
def test_a_tuning_that_is_refused(refused, valid: bytes, options: list[str], what: str) -> None:
    assert what in refused(valid, 2, *options, verb="tune")
    assert "not a .tflite file" in refused(b"no model", 2, verb="tune")


def test_damaged_files_never_crash_the_reader(valid: bytes) -> None:
    """Flipped, cut, repeated: each is either a legal graph or one McunasError of one line."""
    rng = random.Random(0)
    for _ in range(600):
        data = bytearray(valid)
        for _ in range(rng.choice((1, 1, 2, 8))):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        if rng.random() < 0.25:
            del data[rng.randrange(len(data)):]
        try:
            read_tflite(bytes(data))
        except McunasError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(("options", "status", "what"), [
    (["--task", "digitz"], 2, "unknown task 'digitz'"),
    (["--method", "magic"], 2, "unknown method 'magic'"),
    (["--ram", "lots"], 2, "write it like '64 KiB'"),
    (["--ram", "1 GiB"], 2, "cannot read '1 GiB'"),
    (["--ram", "900 MiB"], 2, "exceeds what a model may use on mps2-an386"),
    (["--ram", "16"], 1, "the budget is 16 bytes"),
])
def test_a_search_that_cannot_be(options: list[str], status: int, what: str, tmp_path: Path,
                                 capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leave:
        main(["search", "--out", str(tmp_path / "out"), "--smoke", *options])
    said = capsys.readouterr()
    assert leave.value.code == status and what in said.err
    assert said.err.startswith("error: ") and said.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
