# SPDX-License-Identifier: Apache-2.0
"""What is not a search can be killed at any moment too: quantize, build, tune, calibrate and a bench end, begun again, with
the bytes of an uninterrupted run. MCUNAS_KILLS=20 kills each of them twenty times."""
from __future__ import annotations

import errno
import json
import os
import re
import shutil
import time
from functools import partial
from pathlib import Path

import pytest

import mcunas
from mcunas.cli import main
from mcunas.graph import write_tflite
from mcunas.search.result import Result
from mcunas.tasks import Schedule
from tests.bench.kept import row_of
from tests.kills import KILLS, endings, run
from tests.small_models import dense

MODULE = "tests.search.test_own"
SHORT = Schedule(prune_epochs=2, finetune_epochs=1, qat_epochs=2, warmup_epochs=1, batch=32, width_rate=0.3)
BUDGET = mcunas.Budget(ram=640, flash="7 KiB")


def search(out: Path) -> None:
    board = mcunas.Board.load("mps2-an386")
    mcunas.search(f"{MODULE}:loaders", board, BUDGET, start=f"{MODULE}:net", out=out, schedule=SHORT)


def quantize(out: Path) -> None:
    mcunas.quantize(Result.load(out))


def verb(out: Path, name: str, model: str, where: str) -> None:
    arguments = [model] if model else []
    try:
        main([name, *arguments, "--board", "mps2-an386", "--out", str(out / where)])
    except SystemExit as leave:
        if leave.code:
            raise


def bench(out: Path) -> None:
    for arm in range(4):
        row_of(out / f"arm-{arm}", {"arm": arm}, lambda arm=arm: {"value": arm, "slow": time.sleep(0.05)}, arm=arm)


def left(folder: Path) -> dict[str, bytes]:
    """All that lies there but times, the record of reads of the test split, and what a killed process was about to write."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.endswith(".part") and path.name not in ("quantize.pt", "test_reads.json"):
            found[str(path.relative_to(folder))] = path.read_bytes()
    if "table.toml" in found:           # less the day, and the commit of a checkout that is worked on meanwhile
        found["table.toml"] = re.sub(rb"(?m)^(date|commit) .*$", b"", found["table.toml"])
    if "quantize.json" in found:
        metrics = json.loads(found["quantize.json"])
        del metrics["ledger"]["cpu_seconds"]
        found["quantize.json"] = json.dumps(metrics).encode()
    return found


def whole(job, out: Path) -> float:
    """Seconds that it takes."""
    started = time.monotonic()
    assert run(job, out) == 0
    return time.monotonic() - started


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("searched")
    assert run(search, out) == 0
    return out


def test_quantize(searched: Path, tmp_path: Path) -> None:
    prepare = partial(shutil.copytree, searched)
    prepare(tmp_path / "whole")
    took_s = whole(quantize, tmp_path / "whole")
    for killed in endings(quantize, prepare, tmp_path, KILLS or 3, took_s):
        assert left(killed) == left(tmp_path / "whole")


def test_a_model_without_its_report_is_quantized_again(searched: Path, tmp_path: Path) -> None:
    """Killed between the two files: the report never speaks of another model."""
    out = tmp_path / "out"
    shutil.copytree(searched, out)
    quantize(out)
    model, report = (out / "model.tflite").read_bytes(), json.loads((out / "quantize.json").read_text())
    (out / "quantize.json").write_text(json.dumps({**report, "fingerprint": "another"}))
    for write in range(1, 8):
        if run(quantize, out, at_write=write) == 0:
            break
        if (out / "quantize.json").exists() and (out / "model.tflite").read_bytes() != model:
            assert json.loads((out / "quantize.json").read_text())["fingerprint"] != "another"
    assert (out / "model.tflite").read_bytes() == model


@pytest.mark.parametrize(("name", "where"), [("build", ""), ("tune", ""), ("calibrate", "table.toml")])
def test_verbs_of_the_device(name: str, where: str, tmp_path: Path) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(write_tflite(dense(8, 4)))
    job = partial(verb, name=name, model="" if name == "calibrate" else str(model), where=where)
    (tmp_path / "whole").mkdir()
    took_s = whole(job, tmp_path / "whole")
    assert left(tmp_path / "whole")
    for killed in endings(job, Path.mkdir, tmp_path, KILLS or 2, took_s):
        assert left(killed) == left(tmp_path / "whole")


def test_a_bench(tmp_path: Path) -> None:
    took_s = whole(bench, tmp_path / "whole")
    for killed in endings(bench, Path.mkdir, tmp_path, KILLS or 6, took_s):
        assert left(killed) == left(tmp_path / "whole")


@pytest.mark.parametrize("name", ["compile", "build", "tune"])
def test_a_full_disk_is_said_in_a_line_and_leaves_what_was_there(
        name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    model, out = tmp_path / "model.tflite", tmp_path / "out"
    model.write_bytes(write_tflite(dense(8, 4)))
    verb(out, name, str(model), "")
    before = left(out)
    capsys.readouterr()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SystemExit) as leave:
        main([name, str(model), "--board", "mps2-an386", "--out", str(out)])
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]     # less the bars
    assert leave.value.code == 2 and len(said) == 1 and "No space left on device" in said[0], said
    now = left(out)
    assert {file: now.get(file, before[file]) for file in before} == before and set(now) <= set(before)
    assert not list(out.rglob("*.part"))
