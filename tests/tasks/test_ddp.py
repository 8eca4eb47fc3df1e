# SPDX-License-Identifier: Apache-2.0
"""Two processes with half of each batch train as one process with all of it.

Step by step in float64, where rounding stays small; and a whole search in float32, short enough for it to stay so.
"""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import mcunas.search
from mcunas import tasks
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.space import sampling
from mcunas.space import space as spaces
from mcunas.space.supernet import Supernet
from mcunas.tasks import Schedule, ddp
from mcunas.tasks.training import batches, generator, recalibrate, score

DRAWS = {"mixture": lambda block, random: sampling.mixture(block), "single": sampling.single, "binary": sampling.binary,
         "gumbel": lambda block, random: sampling.gumbel(block, 1.0, random)}


def curve(folder: Path, batch: int) -> dict[str, float]:
    """Losses of a few steps of a supernet by each way of drawing gates; then a path's recalibrated statistics."""
    task, random, found = tasks.load("digits").sealed(), generator(0, 1), {}
    with ddp.group(folder) as out:
        schedule = ddp.scaled(Schedule(batch=batch, epoch_samples=2 * len(DRAWS) * 16))
        torch.manual_seed(0)
        space = spaces.load("digits", {"stem": {"kernel": [3, 3], "channels": 4, "stride": [2, 2]}}, task.input_shape, 10)
        net = Supernet(space).double()
        optimizers = torch.optim.SGD(net.weights(), 0.05, 0.9), torch.optim.Adam(net.arch(), 0.01)
        for step, (images, labels) in enumerate(batches(task, schedule, 0, 0)):
            name, draw = list(DRAWS.items())[step % len(DRAWS)]
            loss = F.cross_entropy(net(images.double(), net.gates(lambda block, draw=draw: draw(block, random))), labels)
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
            found[f"{step} {name}"] = ddp.mean(float(loss.detach()))
        path = net.extract(net.best()).float()
        recalibrate(path, task, count=100, size=33)
        found["variance"] = float(path.stem[2].running_var.sum())
        found["accuracy"] = score(path, task, task.validation)
        (out / "curve.json").write_text(json.dumps(found))
    return found


SPACE = {"options": {"options": ["conv3x3", "ds3", "conv1x1", "skip"]}}
SEARCHES = {"proxyless": SPACE, "fbnet": SPACE,
            "padnas": {**SPACE, "settings": {"scored_images": 16, "population": 4, "generations": 1, "quality": 2}},
            "diffprune": {"start": "plain", "options": {"stages": [[6], [8]], "hidden": 8}}}


def histories(folder: Path, batch: int) -> list[dict[str, float]]:
    """Of whole small searches, in float32."""
    schedule = Schedule(prune_epochs=2, finetune_epochs=1, warmup_epochs=0, batch=batch, rate=0.02, epoch_samples=96)
    found = []
    for method, more in SEARCHES.items():
        mcunas.search.search("digits", Board.load("mps2-an386"), Budget("16 KiB", "32 KiB", "12 ms"), method,
                             folder / method, schedule=schedule, **more)
        found += json.loads((folder / method / "history.json").read_text()) if ddp.is_first() else []
    return [{key: epoch[key] for key in ("loss", "arch_loss", "validation") if key in epoch} for epoch in found]


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> tuple[dict[str, float], dict[str, float], Path]:
    folder = tmp_path_factory.mktemp("two")
    launched = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
                "-m", "tests.tasks.test_ddp", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(launched, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr
    return curve(tmp_path_factory.mktemp("one"), 16), json.loads((folder / "curve.json").read_text()), folder


def test_the_curve_is_that_of_one_process_with_the_doubled_batch(both):
    one, two, _ = both
    assert len(one) == 2 * len(DRAWS) + 2
    assert two == pytest.approx(one, rel=1e-6, abs=1e-6)


def test_searches_are_those_of_one_process_with_the_doubled_batch(both, tmp_path):
    two = json.loads((both[2] / "histories.json").read_text())
    assert two == [pytest.approx(epoch, abs=1e-4) for epoch in histories(tmp_path, 16)] and len(two) == 3 * len(SEARCHES)
    for method in SEARCHES:
        asked = [json.loads((f / method / "metrics.json").read_text())["asked"] for f in (both[2], tmp_path)]
        assert asked[0]["fingerprint"] == asked[1]["fingerprint"]       # so either goes on with what the other left


def test_only_the_first_process_writes(both):
    assert {p.name for p in both[2].iterdir()} == {"curve.json", "histories.json", *SEARCHES}
    assert len(json.loads((both[2] / "proxyless" / "test_reads.json").read_text())) == 1


def test_a_process_alone_keeps_everything_to_itself(tmp_path):
    batch = torch.arange(5)
    with ddp.group(tmp_path) as out:
        assert out == tmp_path and ddp.is_first() and ddp.count() == 1 and ddp.mean(3.0) == 3.0
        assert torch.equal(ddp.part(batch), batch) and ddp.scaled(Schedule(batch=7)).batch == 7


if __name__ == "__main__":
    curve(Path(sys.argv[1]), 8)
    told = histories(Path(sys.argv[1]), 8)
    if ddp.is_first():
        (Path(sys.argv[1]) / "histories.json").write_text(json.dumps(told))
