# SPDX-License-Identifier: Apache-2.0
"""Models of ONNX, Keras and TensorFlow through TensorFlow's own process, down to firmware in QEMU.

Skipped where TensorFlow is not installed: `make test-import` installs it.
"""
from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

import mcunas
from mcunas.cli import main
from mcunas.convert import bridge, import_model
from mcunas.convert.driver import Imported
from mcunas.errors import ToolMissing
from tests.convert.torch_models import NETS, export
from tests.prune.nets import settled

KERAS = Path(__file__).parent / "keras_models.py"


@pytest.fixture(scope="module")
def python() -> str:
    """The Python that has TensorFlow."""
    try:
        return bridge.interpreter()
    except ToolMissing:
        pytest.skip("TensorFlow is not installed; make test-import installs it")


def samples(shape: tuple[int, ...], path: Path, count: int = 32) -> Path:
    np.savez(path, x=np.random.default_rng(0).random((count, *shape), np.float32))
    return path


def proven(done: Imported, folder: Path) -> None:
    """In QEMU: every byte as TFLM has it."""
    image = mcunas.build(done.graph, "mps2-an386", folder / "firmware")
    report = mcunas.validate(image, n_random=5)
    assert report.mismatches == 0 and report.passed


@pytest.mark.parametrize("name", NETS)
def test_onnx_becomes_firmware(python: str, name: str, tmp_path: Path) -> None:
    make, shape = NETS[name]
    torch.manual_seed(0)
    export(settled(make()), shape, tmp_path / "model.onnx", free_batch=name == "resnet-8")
    done = import_model(tmp_path / "model.onnx", samples(shape, tmp_path / "data.npz"))
    assert done.conversion_error < 1e-4 and done.snr_db > 25
    flattens = name in ("resnet-8", "conv1d")           # torch flattens channels first
    assert [op.kind for op in done.graph.ops].count("TRANSPOSE") == flattens
    proven(done, tmp_path)


@pytest.mark.parametrize(("name", "file", "shape"), [
    ("ds_cnn", "model.keras", (49, 10, 1)), ("mobilenet", "model.h5", (96, 96, 3)), ("autoencoder", "model", (28, 28, 1)),
])
def test_keras_becomes_firmware(python: str, name: str, file: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / file
    subprocess.run([python, str(KERAS), name, str(path)], check=True, capture_output=True)
    done = import_model(path, samples(shape, tmp_path / "data.npz"))
    assert done.conversion_error < 1e-4 and done.snr_db > 25
    proven(done, tmp_path)


@pytest.mark.parametrize(("name", "shape"), [("pretrainedResnet", (32, 32, 3)), ("vww_96", (96, 96, 3))])
def test_keras_models_of_mlperf_tiny_become_firmware(python: str, name: str, shape: tuple[int, ...], data_dir: Path,
                                                     tmp_path: Path) -> None:
    path = data_dir / f"mlperf_tiny/float/{name}.h5"
    done = import_model(path, samples(shape, tmp_path / "data.npz", 8))
    assert done.conversion_error < 1e-4
    proven(done, tmp_path)


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Run `import`; it must end with status 2 and one line, and write nothing."""
    def run(model: Path, shape: tuple[int, ...]) -> str:
        data = samples(shape, tmp_path / "data.npz")
        with pytest.raises(SystemExit) as leave:
            main(["import", str(model), "-r", str(data), "--out", str(tmp_path / "o.tflite")])
        said = capsys.readouterr()
        assert leave.value.code == 2 and said.out == "" and said.err.count("\n") == 1, said.err
        assert not (tmp_path / "o.tflite").exists()
        return said.err
    return run


@pytest.mark.parametrize(("layer", "what"), [
    (torch.nn.GELU(), 'ONNX node "/1/Gelu" (Gelu): '),
    (torch.nn.InstanceNorm2d(4), 'node "/1/InstanceNormalization" (InstanceNormalization): onnx2tf cannot'),
])
def test_an_onnx_node_without_an_integer_kernel_is_named(python: str, refused, layer: torch.nn.Module, what: str,
                                                         tmp_path: Path) -> None:
    export(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), layer, torch.nn.ReLU()), (3, 8, 8), tmp_path / "a model;$(x).onnx")
    assert what in refused(tmp_path / "a model;$(x).onnx", (3, 8, 8))


@pytest.mark.parametrize(("name", "file", "shape", "what"), [
    ("unsupported", "m.keras", (8, 8, 3), 'Keras layer "bend" (Activation): GELU has no integer kernel'),
    ("flex", "folder", (8,), "FlexErf has no integer kernel"),
    ("code", "m.keras", (8,), 'layer "double" (Lambda): it holds Python code, which is not run'),
])
def test_a_keras_layer_without_an_integer_kernel_is_named(python: str, refused, name: str, file: str, shape: tuple[int, ...],
                                                          what: str, tmp_path: Path) -> None:
    subprocess.run([python, str(KERAS), name, str(tmp_path / file)], check=True, capture_output=True)
    assert what in refused(tmp_path / file, shape)


@pytest.mark.parametrize(("name", "content", "what"), [
    ("a.onnx", b"\x08\x07 this is no protobuf", "not a valid ONNX model"),
    ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(200), "not a Keras model that can be read"),
])
def test_damaged_models(python: str, refused, name: str, content: bytes, what: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert what in refused(tmp_path / name, (8,))


def test_data_in_the_wrong_order_of_axes(python: str, refused, tmp_path: Path) -> None:
    export(torch.nn.Conv2d(3, 4, 3), (3, 8, 8), tmp_path / "a.onnx")
    assert 'the model expects "x" (N, 3, 8, 8)' in refused(tmp_path / "a.onnx", (8, 8, 3))
