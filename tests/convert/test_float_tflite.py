# SPDX-License-Identifier: Apache-2.0
"""A float .tflite becomes int8 without TensorFlow: close to the original, legal for TFLM, and refused with one line."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mcunas.cli import main
from mcunas.convert import import_model
from mcunas.convert.calibrate import to_real, to_steps
from mcunas.errors import InputError
from mcunas.graph import Graph, Op, Tensor, read_tflite, write_tflite
from mcunas.graph.oracle import Oracle
from mcunas.graph.torch_lower import lower
from tests.prune.nets import settled
from tests.small_models import dense


class _Net(nn.Module):
    """Convolutions of all kinds, a branch that ends in a sigmoid and is joined with one that does not."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU6())
        self.depthwise = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8), nn.ReLU())
        self.gate, self.point = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1, bias=False)
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.depthwise(self.first(x))
        x = torch.cat((torch.sigmoid(self.gate(x)), self.point(x) + x), 1)
        return torch.softmax(self.head(x.mean((2, 3))), 1)


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    net = settled(_Net())
    with torch.no_grad():
        net.head.weight.mul_(8)
    return net


@pytest.fixture
def files(net: nn.Module, tmp_path: Path) -> tuple[Path, Path]:
    """(float .tflite, its representative data)."""
    model, data = tmp_path / "net.tflite", tmp_path / "data.npz"
    model.write_bytes(write_tflite(lower(net, torch.randn(1, 3, 16, 16)).graph, floats=True))
    np.savez(data, x=np.random.default_rng(1).normal(size=(64, 16, 16, 3)).astype(np.float32))
    return model, data


def test_the_int8_model_answers_like_the_float_one(net: nn.Module, files: tuple[Path, Path]) -> None:
    done = import_model(*files)
    images = np.random.default_rng(2).normal(size=(64, 16, 16, 3)).astype(np.float32)
    with torch.no_grad():
        expected = net(torch.from_numpy(images.transpose(0, 3, 1, 2))).numpy()
    found, oracle = [], Oracle(done.graph)
    for image in images:
        output, = oracle.outputs([to_steps(image[None], done.graph.tensors[done.graph.inputs[0]].quant)])
        found.append(to_real(output[0], done.graph.tensors[done.graph.outputs[0]].quant))
    assert np.abs(np.array(found) - expected).max() < 0.03
    assert done.snr_db > 30 and done.agreement > 0.95 and done.conversion_error is None


def test_weights_are_per_channel_and_a_fixed_scale_is_rescaled_before_it_is_joined(files: tuple[Path, Path]) -> None:
    graph = import_model(*files).graph
    weights = [graph.tensors[op.inputs[1]] for op in graph.ops if "CONV" in op.kind or op.kind == "FULLY_CONNECTED"]
    assert len(weights) == 5 and all(not w.quant.is_per_tensor for w in weights)
    kinds = [op.kind for op in graph.ops]
    assert kinds.index("QUANTIZE") == kinds.index("CONCATENATION") - 1 or kinds.count("QUANTIZE") == 1


def test_the_mean_of_a_layer_survives_the_rounding_of_its_weights() -> None:
    """One layer whose weights all round the same way: without correction its mean moves by half a step of them."""
    from mcunas.convert.calibrate import quantized

    weights = np.full((1, 1, 1, 64), 0.5 / 127, np.float32)
    weights[0, 0, 0, 0] = 1.0
    bias = np.zeros(1, np.float32)
    tensors = (Tensor("x", (1, 4, 4, 64), "float32"), Tensor("w", weights.shape, "float32", None, weights),
               Tensor("b", (1,), "float32", None, bias), Tensor("y", (1, 4, 4, 1), "float32"))
    attrs = {"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "padding": "VALID", "activation": "NONE"}
    graph = Graph(tensors, (Op("CONV_2D", (0, 1, 2), (3,), attrs),), (0,), (3,))
    images = np.random.default_rng(0).random((32, 4, 4, 64)).astype(np.float32)
    done = quantized(graph, write_tflite(graph, floats=True), [images])
    oracle, y = Oracle(done.graph), done.graph.tensors[done.graph.outputs[0]].quant
    found = [to_real(oracle.outputs([to_steps(image[None], done.graph.tensors[done.graph.inputs[0]].quant)])[0], y)
             for image in images]
    assert abs(np.mean(found) - np.mean(done.floats)) < 0.005       # 0.12 uncorrected


@pytest.mark.parametrize(("model", "wanted"), [
    ("a/net.v2.onnx", "a/net.v2-int8.tflite"), ("a/saved", "a/saved-int8.tflite"), ("a.mine:net", "net-int8.tflite"),
    (".", "../{here}-int8.tflite"), ("/", "/model-int8.tflite"),
])
def test_without_a_name_it_is_written_beside_the_model(model: str, wanted: str, tmp_path: Path,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    from mcunas.cli.verb_import import _beside

    monkeypatch.chdir(tmp_path)
    assert _beside(Path(model)).resolve() == Path(wanted.format(here=tmp_path.name)).resolve()


def test_the_file_is_read_back_as_it_was_made(files: tuple[Path, Path], tmp_path: Path) -> None:
    done = import_model(*files)
    again = read_tflite(done.save(tmp_path / "int8.tflite"), "net")
    assert write_tflite(again) == write_tflite(done.graph)


def test_a_torch_module_goes_the_same_way(files: tuple[Path, Path], net: nn.Module, tmp_path: Path,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    from mcunas import named

    images = np.load(files[1])["x"].transpose(0, 3, 1, 2)
    np.save(tmp_path / "data.npy", images)
    monkeypatch.setattr(named, "import_module", lambda name: type("m", (), {"trained": lambda: net, "__name__": name}))
    done = import_model("mine:trained", tmp_path / "data.npy")
    assert write_tflite(done.graph.with_(name="net")) == write_tflite(import_model(*files).graph)
    assert done.conversion_error < 1e-5 and done.inputs[0][1:] == ((1, 3, 16, 16), (0, 2, 3, 1))


@pytest.mark.parametrize(("forward", "what"), [
    (lambda self, x, y: x, "does not take it .*missing 1 required positional argument: 'y'"),
    (lambda self, x: [][len(x)], "does not take it .list index out of range"),
    (lambda self, x: self.linear(x), "tensor .* holds values that are not finite; see whether the model's training"),
])
def test_a_torch_module_that_cannot_be_used(forward: Callable, what: str, tmp_path: Path,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    from mcunas import named

    mine = type("Mine", (nn.Module,), {"forward": forward})()
    mine.linear = nn.Linear(8, 4)
    mine.linear.weight.data[1] = torch.nan
    np.save(tmp_path / "data.npy", np.ones((4, 8), np.float32))
    monkeypatch.setattr(named, "import_module", lambda name: type("m", (), {"trained": lambda: mine, "__name__": name}))
    with pytest.raises(InputError, match=what):
        import_model("mine:trained", tmp_path / "data.npy")


@pytest.fixture
def refused(files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Run `import`; it must end with status 2 and one line, and write nothing."""
    def run(model: Path, data: Path | None = None) -> str:
        before = sorted(tmp_path.iterdir())
        with pytest.raises(SystemExit) as leave:
            main(["import", str(model), "--representative", str(data or files[1]), "--out", str(tmp_path / "out.tflite")])
        said = capsys.readouterr()
        assert leave.value.code == 2, said.err
        assert said.out == "" and said.err.startswith("error: ") and said.err.count("\n") == 1
        assert sorted(tmp_path.iterdir()) == before
        return said.err
    return run


@pytest.mark.parametrize(("arrays", "what"), [
    ({"x": np.zeros((4, 3, 16, 16), np.float32)}, 'has shape (4, 3, 16, 16) for the input "x"'),
    ({"x": np.zeros((0, 16, 16, 3), np.float32)}, "0 samples"),
    ({"x": np.full((4, 16, 16, 3), np.nan)}, "not finite"),
    ({"x": np.array(["a"] * 4)}, "not numbers"),
    ({"a": np.zeros((4, 16, 16, 3)), "b": np.zeros(4)}, "holds 'a', 'b', but the model's inputs are \"x\" (N, 16, 16, 3)"),
    ({}, "holds no array"),
])
def test_data_that_does_not_fit(refused, files: tuple[Path, Path], tmp_path: Path, arrays: dict, what: str) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    assert what in refused(files[0], tmp_path / "bad.npz")


def test_data_is_read_without_pickle(refused, files: tuple[Path, Path], tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "sprung",)

    np.save(tmp_path / "bad.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    assert "plain arrays" in refused(files[0], tmp_path / "bad.npy")
    (tmp_path / "bad.npz").write_bytes(files[1].read_bytes()[:300])
    assert "plain arrays" in refused(files[0], tmp_path / "bad.npz")
    assert "No such file" in refused(files[0], tmp_path / "absent.npz")


@pytest.mark.parametrize(("name", "content", "what"), [
    ("a.tflite", b"hello, this is no model", "no model of a known kind"), ("a.bin", b"", "no model of a known kind"),
    ("a.pt", b"PK\x03\x04" + bytes(40), "torch.onnx.export"), ("a.tflite", b"....TFL3" + bytes(20), "corrupted"),
])
def test_a_model_that_is_none(refused, tmp_path: Path, name: str, content: bytes, what: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert what in refused(tmp_path / name)


def test_models_that_are_quantized_already(refused, tmp_path: Path) -> None:
    (tmp_path / "int8.tflite").write_bytes(write_tflite(dense(8, 4)))
    assert "is int8 already" in refused(tmp_path / "int8.tflite")
    (tmp_path / "folder").mkdir()
    assert "saved_model.pb" in refused(tmp_path / "folder")


def test_without_tensorflow_the_way_out_is_named(refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mcunas.convert import bridge

    (tmp_path / "a.onnx").write_bytes(b"anything, it is not looked into")
    monkeypatch.delenv(bridge.VARIABLE, raising=False)
    monkeypatch.setattr(bridge, "import_python", lambda: tmp_path / "absent")
    monkeypatch.setattr(bridge, "find_spec", lambda name: None)
    assert "pip install 'mcunas[tensorflow]'" in refused(tmp_path / "a.onnx")
    monkeypatch.setenv(bridge.VARIABLE, "/bin/false")
    assert "the converter stopped with status 1" in refused(tmp_path / "a.onnx")
