# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at any moment costs a search at most one epoch and nothing of its result; a full disk costs no checkpoint."""
from __future__ import annotations

import json
import os
import random
import resource
import signal
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
import torch
from torch import nn

import mcunas
from mcunas.cli import explain
from mcunas.search.state import CHECKPOINT
from mcunas.tasks import Schedule
from tests import kills
from tests.kills import FORK

SCHEDULE = Schedule(prune_epochs=5, finetune_epochs=4, qat_epochs=1, warmup_epochs=1, batch=32, width_rate=0.3,
                    teacher_epochs=2)
BUDGET = mcunas.Budget(ram=1500, flash="9 KiB")
KILLS = kills.KILLS or 6        # every second one in the middle of a write
DISK_BYTES = 4096       # of a file, once the disk is full: less than a checkpoint


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(16, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                         nn.Flatten(), nn.Linear(24, 3))


def loaders() -> tuple[list, list, list]:
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(32) % 3
    batches = [(torch.randn(32, 2, 16, 16, generator=generator) + 0.3 * labels.view(-1, 1, 1, 1), labels) for _ in range(16)]
    return batches[:12], batches[12:13], batches[13:]


@dataclass(frozen=True)
class Search:
    """A process that searches. fatal_write: dies between the content and the name of this write; full_after: epochs after
    which the disk is full; 0: never."""

    out: Path
    method: str
    fatal_write: int = 0
    full_after: int = 0

    def run(self, kill_after_s: float | None = None) -> int | None:
        """Its exit status."""
        self.out.mkdir(exist_ok=True)
        process = FORK.Process(target=self)
        process.start()
        process.join(kill_after_s)
        process.kill()
        process.join()
        return process.exitcode

    def __call__(self) -> None:
        writes, shown, sync = 0, 0, os.fsync

        def fsync(handle: int) -> None:
            nonlocal writes
            sync(handle)
            writes += 1
            if writes == self.fatal_write:
                os.kill(os.getpid(), signal.SIGKILL)

        def progress(*unused: object) -> None:
            nonlocal shown
            shown += 1
            (self.out / "shown").write_text(str(shown))
            if shown == self.full_after:
                resource.setrlimit(resource.RLIMIT_FSIZE, (DISK_BYTES, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

        os.fsync = fsync
        try:
            mcunas.prune(net(), loaders(), "mps2-an386", BUDGET, self.method, self.out, schedule=SCHEDULE,
                         progress=progress)
        except OSError as error:
            line, status = explain(error)
            (self.out / "said").write_text(line)
            raise SystemExit(status) from error


def epochs_kept(out: Path) -> int:
    """Of the search and its teacher, in the checkpoint."""
    if not (out / CHECKPOINT).exists():
        return 0
    state = torch.load(out / CHECKPOINT, weights_only=True)
    return state["epoch"] + state["teacher"].get("epoch", 0)


def outcome(out: Path) -> dict:
    """All that a search leaves but times."""
    metrics = json.loads((out / "metrics.json").read_text())
    del metrics["ledger"]["cpu_seconds"]
    weights = torch.load(out / "model.pt", weights_only=True)
    return {"metrics": metrics, "weights": {name: tensor.tolist() for name, tensor in weights.items()},
            "genotype": json.loads((out / "genotype.json").read_text()),
            "history": json.loads((out / "history.json").read_text()),
            "files": sorted(path.name for path in out.iterdir() if path.name not in ("shown", "said"))}


@pytest.fixture(scope="module", params=["diffprune", "smcp"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Search, float]:
    """An uninterrupted search, and how many seconds it takes."""
    out = tmp_path_factory.mktemp("whole")
    imported = FORK.Process(target=time.sleep, args=(0,))
    imported.start()
    imported.join()
    search, started = Search(out, request.param), time.monotonic()
    assert search.run() == 0
    return search, time.monotonic() - started


def test_a_search_killed_again_and_again_ends_as_if_it_never_was(whole: tuple[Search, float], tmp_path: Path) -> None:
    (search, took_s), chance, killed = whole, random.Random(whole[0].method), 0
    for number in count():
        out = tmp_path / f"killed{number}"
        killed += killed_until_it_ends(out, search.method, KILLS - killed, took_s, chance)
        assert outcome(out) == outcome(search.out)
        if killed >= KILLS or not kills.KILLS:
            break
    assert killed >= 2


def killed_until_it_ends(out: Path, method: str, most: int, took_s: float, chance: random.Random) -> int:
    """How often; fewer than `most` where the search came to its end before."""
    out.mkdir()
    for killed in range(most):
        before = epochs_kept(out)
        (out / "shown").unlink(missing_ok=True)
        if killed % 2:
            status = Search(out, method, fatal_write=chance.randint(1, 3)).run()
        else:
            status = Search(out, method).run(kill_after_s=took_s * chance.uniform(0.05, 0.3))
        if status == 0:
            return killed
        assert status == -signal.SIGKILL
        shown = int((out / "shown").read_text()) if (out / "shown").exists() else 0
        assert before + shown - 1 <= epochs_kept(out) <= before + shown
    assert Search(out, method).run() == 0
    return most


def test_a_full_disk_is_said_in_a_line_and_leaves_the_last_checkpoint(whole: tuple[Search, float], tmp_path: Path) -> None:
    search, _ = whole
    assert Search(tmp_path, search.method, full_after=4).run() == 2
    assert (tmp_path / "said").read_text().startswith(f"{tmp_path / CHECKPOINT}: File too large; check the path")
    assert epochs_kept(tmp_path) == 3
    assert Search(tmp_path, search.method).run() == 0 and outcome(tmp_path) == outcome(search.out)


def test_a_folder_that_cannot_be_written_is_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError) as caught:
        mcunas.prune(net(), loaders(), "mps2-an386", BUDGET, out=tmp_path / "file" / "run", schedule=SCHEDULE,
                     progress=lambda *unused: pytest.fail("an epoch was trained"))
    line, status = explain(caught.value)
    assert status == 2 and line.startswith(f"{tmp_path / 'file' / 'run'}: Not a directory; check the path")
