# SPDX-License-Identifier: Apache-2.0
"""Schedules, seeds and data at their edges: what cannot be searched with is said in a line, the rest runs."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import mcunas
from mcunas.atomic import own_folder
from mcunas.errors import DoesNotFit, InputError
from mcunas.tasks import Schedule, Split, own
from mcunas.tasks.training import recalibrate
from tests.search.test_own import BOARD, BUDGET, SHORT, loaders, net


def _pruned(out: Path, data=None, method: str = "diffprune", seed: int = 0, **changes):
    return mcunas.prune(net(), data or loaders(), BOARD, BUDGET, method, out, seed, schedule=replace(SHORT, **changes))


@pytest.mark.parametrize("method", ["diffprune", "greedy", "smcp", "uniform"])
def test_a_training_that_diverges_is_said_as_soon_as_it_does(method: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the training has diverged, its loss is nan; give a lower rate"):
        _pruned(tmp_path, method=method, rate=1e9)


@pytest.mark.parametrize("method", ["diffprune", "greedy", "smcp"])
def test_what_had_no_epoch_to_prune_in_is_no_result(method: str, tmp_path: Path) -> None:
    with pytest.raises(DoesNotFit, match="exceed the budget; give it epochs to prune in"):
        _pruned(tmp_path, method=method, prune_epochs=0)
    assert not (tmp_path / "metrics.json").exists()


def test_one_process_at_a_time_works_in_a_folder(tmp_path: Path) -> None:
    result = _pruned(tmp_path, prune_epochs=1, finetune_epochs=0)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with own_folder(tmp_path):
        for work in (lambda: mcunas.prune(net(), loaders(), BOARD, BUDGET, out=tmp_path, resume=False, schedule=SHORT),
                     lambda: mcunas.quantize(result)):
            with pytest.raises(InputError, match=f"{tmp_path}: another process is at work here; wait for it"):
                work()
        assert _pruned(tmp_path, prune_epochs=1, finetune_epochs=0).genotype == result.genotype     # finished: only read
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_folder_of_which_nothing_came_goes(tmp_path: Path) -> None:
    with pytest.raises(DoesNotFit):
        mcunas.prune(net(), loaders(), BOARD, mcunas.Budget(ram=8), out=tmp_path / "a", schedule=SHORT)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_not_all_sources_take_is_refused(seed: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="seed: a seed of"):
        _pruned(tmp_path, seed=seed)


@pytest.mark.parametrize("change", [{"batch": 0}, {"prune_epochs": -1}, {"epoch_samples": 0}, {"measured_images": 0},
                                    {"rate": float("nan")}, {"qat_epochs": 1.5}])
def test_a_schedule_that_cannot_be_is_refused(change: dict) -> None:
    with pytest.raises(InputError, match=f"schedule: {next(iter(change))} cannot be"):
        Schedule(**change)


def _changed(images: np.ndarray, labels: np.ndarray, **more):
    task = own.from_loaders(loaders(), "mine")
    return replace(task, test=Split(images(task.test.images), labels(task.test.labels)), **more)


@pytest.mark.parametrize(("images", "labels", "said"), [
    (lambda x: x[:0], lambda y: y[:0], "test: it is empty"),
    (lambda x: x.astype(np.float32), lambda y: y, "test: images float32"),
    (lambda x: x[:3], lambda y: y, "with 64 labels"),
    (lambda x: x, lambda y: y + 1, "from 1 to 3; give int64 .* from 0 to 2"),
    (lambda x: x, lambda y: y.astype(np.int32), "labels int32")])
def test_a_task_that_would_fail_at_the_end_is_refused_at_the_beginning(images, labels, said: str) -> None:
    with pytest.raises(InputError, match=said):
        own.keep(_changed(images, labels))


def _broken():
    yield loaders()[0][0]
    raise KeyError("file 7")


@pytest.mark.parametrize(("train", "said"), [
    ([(torch.zeros(0, 2, 8, 8), torch.zeros(0, dtype=torch.long))], "train: it is empty"),
    ([(torch.zeros(4, 2, 8, 8, dtype=torch.bfloat16), torch.zeros(4, dtype=torch.long))], "cannot be read .*BFloat16"),
    ([([[1.0], [1.0, 2.0]], [1, 2])], "cannot be read"), (_broken(), "train: KeyError: 'file 7'")])
def test_a_loader_that_cannot_be_read_is_told(train, said: str) -> None:
    with pytest.raises(InputError, match=said):
        own.keep((train, *loaders()[1:]))


def test_images_that_a_graph_hangs_on_are_read() -> None:
    train, *others = loaders()
    with_graph = [(x.clone().requires_grad_(), y) for x, y in train]
    assert own.keep((with_graph, *others)).digest() == own.keep((train, *others)).digest()


def test_a_single_image_that_is_left_over_does_not_end_a_recalibration() -> None:
    task = own.from_loaders(loaders(), "mine")
    flat = nn.Sequential(nn.Flatten(), nn.Linear(128, 4), nn.BatchNorm1d(4))
    recalibrate(flat, replace(task, train=task.train[:129]))
    wanted = flat[:2](torch.from_numpy(task.real(task.train.images[:128]))).mean(0)
    torch.testing.assert_close(flat[2].running_mean, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("asked", [{"ram": 1.5}, {"flash": True}, {"latency": float("inf")}, {"latency": "9" * 305 + " s"},
                                   {"ram": "9" * 305 + " MiB"}, {"ram": 0}])
def test_a_budget_that_is_no_quantity_is_refused(asked: dict) -> None:
    with pytest.raises(InputError, match="write it like"):
        mcunas.Budget(**asked)
    assert mcunas.Budget(ram=np.int64(640), latency=np.float32(2)) == mcunas.Budget("640", latency="2 us")
