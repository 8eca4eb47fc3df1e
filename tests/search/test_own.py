# SPDX-License-Identifier: Apache-2.0
"""Bring your own: a plain torch module and three loaders, by object and by name; what cannot be used is said in a line."""
from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from torch import nn

import mcunas
from mcunas import tasks
from mcunas.board import Board
from mcunas.errors import InputError
from mcunas.named import call_named
from mcunas.tasks import Schedule
from mcunas.tasks.augment import Augment
from mcunas.tasks.own import from_loaders

BOARD, BUDGET = "mps2-an386", mcunas.Budget(ram=640, flash="7 KiB")
SHORT = Schedule(prune_epochs=3, finetune_epochs=1, qat_epochs=1, warmup_epochs=1, batch=32, width_rate=0.3)


def net(outputs: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 24, 3, padding=1),
                         nn.BatchNorm2d(24), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, outputs))


def loaders() -> tuple[list, list, list]:
    """Three classes that a mean can tell apart."""
    random = torch.Generator().manual_seed(1)

    def batches(count: int) -> list:
        labels = [torch.arange(32) % 3 for _ in range(count)]
        return [(torch.randn(32, 2, 8, 8, generator=random) + 2.0 * y.view(-1, 1, 1, 1), y) for y in labels]

    return batches(6), batches(1), batches(2)


def test_a_plain_module_is_pruned_to_the_budget_and_quantized(tmp_path: Path) -> None:
    mine = net()
    before = {k: v.clone() for k, v in mine.state_dict().items()}
    result = mcunas.prune(mine, loaders(), BOARD, BUDGET, out=tmp_path, schedule=SHORT)
    model = mcunas.quantize(result)
    assert result.cost.ram_bytes <= 640 and result.cost.flash_bytes <= 7 * 1024
    assert max(result.metrics["budget_use"].values()) > 0.9 and result.metrics["dense_over_budget"]["ram"] > 1
    assert model.metrics["int8_accuracy"] > 0.9 and model.metrics["test_images"] == 64
    assert all(torch.equal(v, before[k]) for k, v in mine.state_dict().items())
    assert mcunas.prune(net(), loaders(), BOARD, BUDGET, out=tmp_path, schedule=SHORT).genotype == result.genotype
    with pytest.raises(InputError, match="other settings"):         # other weights, same folder
        mcunas.prune(net(4), loaders(), BOARD, BUDGET, out=tmp_path, schedule=SHORT)


def test_names_of_module_and_loaders_do_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_by_name.py").write_text(Path(__file__).read_text())
    monkeypatch.chdir(tmp_path)
    found = mcunas.search("mine_by_name:loaders", mcunas.Board.load(BOARD), BUDGET, start="mine_by_name:net", out="run",
                          schedule=SHORT)
    assert found.cost.ram_bytes <= 640 and found.genotype.start == "mine_by_name:net"
    assert mcunas.quantize(found).metrics["int8_accuracy"] > 0.9


def test_classes_of_the_folder_that_a_command_runs_in_reach_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                                                            ) -> None:
    (tmp_path / "classes_by_name.py").write_text("class Mine:\n    pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))
    mine = call_named("classes_by_name:Mine")
    with ProcessPoolExecutor(1, get_context("spawn")) as executor:
        assert executor.submit(type, mine).result() is type(mine)


@pytest.mark.parametrize(("change", "said"), [
    (lambda parts: parts[:2], "not three loaders"),
    (lambda parts: (parts[0], [], parts[2]), "the loaders, validation: it is empty"),
    (lambda parts: ([(x[0], y) for x, y in parts[0]], *parts[1:]), r"train: a batch has images float32 \(2, 8, 8\)"),
    (lambda parts: ([(x, y.float()) for x, y in parts[0]], *parts[1:]), "labels float32"),
    (lambda parts: (*parts[:2], [(x[:, :1], y) for x, y in parts[2]]), r"test: images of \(1, 8, 8\), those of train are"),
    (lambda parts: (*parts[:2], 7), "test: not iterable but int"),
])
def test_data_of_another_shape_is_refused_in_one_line(change, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        mcunas.prune(net(), change(loaders()), BOARD, BUDGET)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("model", "said"), [
    (net(2), r"it gives \(2, 2\) for 2 images, not \(2, 3\)"),
    (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 3)), r"does not take images of \(2, 8, 8\)"),
    (nn.Sequential(nn.Flatten(), nn.Linear(128, 3)), "none of its widths can be chosen"),
])
def test_a_model_that_does_not_match_the_data_is_refused_in_one_line(model: nn.Module, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said) as caught:
        mcunas.prune(model, loaders(), BOARD, BUDGET, out=tmp_path)
    assert "\n" not in str(caught.value) and not (tmp_path / "checkpoint.pt").exists()


@pytest.mark.parametrize("length", [-1, 768])
def test_a_view_of_what_images_of_one_channel_become_runs(length: int, tmp_path: Path) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.filter, self.last = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 12, 3, padding=2), nn.Linear(768, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.filter(self.first(x).relu()).view(x.size(0) if length == -1 else -1, length))

    data = tuple([(x[:, :1], y) for x, y in part] for part in loaders())
    torch.manual_seed(0)
    result = mcunas.prune(Net(), data, BOARD, mcunas.Budget(), out=tmp_path, schedule=replace(SHORT, rate=0.01))
    assert mcunas.quantize(result).metrics["test_images"] == 64


def test_weights_that_cannot_be_pruned_or_trained_are_told(tmp_path: Path) -> None:
    normed, frozen = net(), net().requires_grad_(False)
    nn.utils.parametrizations.weight_norm(normed[0])
    for model, said in ((normed, "the weights of 0 .* are computed from others"), (frozen, "requires_grad is off"),
                        (net().bfloat16(), "does not take images"),
                        (nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), *net()[6:-1],
                                       nn.Linear(4, 3)), "without running statistics")):
        with pytest.raises(InputError, match=said):
            mcunas.prune(model, loaders(), BOARD, BUDGET, out=tmp_path, schedule=SHORT)


@pytest.mark.parametrize(("name", "said"), [
    ("no_such_module:loaders", "ModuleNotFoundError: No module named 'no_such_module'; give it as module:function"),
    ("tests.small_models:dens", "tests.small_models has no 'dens'; did you mean 'dense'"),
    ("small_models.py:dense", "a module goes by its name, not by its file's; give small_models:dense"),
    ("json:dumps", "TypeError: .*; give it as module:function, a function without arguments"),
])
def test_a_name_that_leads_nowhere_is_refused(name: str, said: str) -> None:
    with pytest.raises(InputError, match=f"{name}: {said}"):
        tasks.load(name)


class Stop(Exception):
    pass


def test_a_network_that_drops_values_resumes_to_the_same_weights_and_model(tmp_path: Path) -> None:
    def stop(phase: str, done: int, total: int, figures: dict) -> None:
        if (phase, done) == stop.at:
            raise Stop

    def found(name: str) -> bytes:
        model = net()
        model[2] = nn.Sequential(nn.MaxPool2d(2), nn.Dropout(0.3))
        result = mcunas.prune(model, loaders(), BOARD, BUDGET, out=tmp_path / name, progress=stop,
                              schedule=replace(SHORT, teacher_epochs=2, qat_epochs=2, finetune_epochs=2))
        mcunas.quantize(result, progress=stop)
        return (tmp_path / name / "model.tflite").read_bytes()

    stop.at = None
    whole = found("whole")
    for stop.at in (("prune", 2), ("teacher", 2), ("finetune", 2), ("quantize", 2)):
        with pytest.raises(Stop):
            found("stopped")
    stop.at = None
    assert found("stopped") == whole


def test_what_names_and_digests_leave_out_makes_another_search(tmp_path: Path) -> None:
    def fingerprint(model: nn.Module, data, board: Path | str = BOARD) -> str:
        out = tmp_path / str(len(list(tmp_path.iterdir())))
        found = mcunas.prune(model, data, board, mcunas.Budget(), "uniform", out, schedule=SHORT)
        return found.metrics["asked"]["fingerprint"]

    other, task, mine = net(), from_loaders(loaders(), "mine"), tmp_path / "board.toml"
    other[1] = nn.ReLU6()
    turned = replace(task, augment=Augment(flip=True))
    text = Board.load(BOARD).path.read_text()
    found = [fingerprint(*asked) for asked in ((net(), task), (net(), task), (other, task), (net(), turned))]
    for clock in ("25_000_000", "20_000_000"):
        mine.write_text(text.replace("clock_hz = 25_000_000", f"clock_hz = {clock}"))
        found.append(fingerprint(net(), task, mine))
    assert found[0] == found[1] and len(set(found)) == 5
