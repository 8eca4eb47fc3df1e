# SPDX-License-Identifier: Apache-2.0
"""FSDD and HAR from their archives: what is unpacked, what is refused, how windows are cut, who is in which split."""
from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from mcunas import tasks
from mcunas.errors import InputError
from mcunas.tasks import fsdd, har, store

needs_data = pytest.mark.skipif(not os.environ.get("MCUNAS_DATA"), reason="MCUNAS_DATA names no folder with data sets")


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"top/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MCUNAS_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_a_sound_archive_is_checked_unpacked_and_cached(no_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"0_a_0.wav": b"first", "1_a_0.wav": b"second"}
    archive = no_data / "archive.tar.gz"
    archive.write_bytes(_archive({f"recordings/{n}": c for n, c in reversed(wanted.items())} | {"README.md": b"text"}))
    monkeypatch.setattr(fsdd, "ORIGIN", archive.as_uri())
    with pytest.raises(InputError, match="SHA-256"):
        fsdd.recordings()
    assert not (no_data / "cache").exists()
    monkeypatch.setattr(fsdd, "DIGEST", store.digest(part for n, c in wanted.items() for part in (n.encode(), c)))
    assert fsdd.recordings() == wanted
    archive.unlink()
    assert fsdd.recordings() == wanted


def test_half_an_archive_is_refused(no_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = no_data / "archive.tar.gz"
    archive.write_bytes(_archive({"recordings/0_a_0.wav": os.urandom(10_000)})[:5000])
    monkeypatch.setattr(fsdd, "ORIGIN", archive.as_uri())
    with pytest.raises(InputError, match="not a whole .tar.gz"):
        fsdd.recordings()


def test_windows_lie_within_one_activity_and_overlap_by_half() -> None:
    rows = [f"{i},0,0,0,0,0,{i},{'SEATED' if i < 200 else 'WALKING'}" for i in range(500)]
    found = har.windows({"s07_01_sw.csv": "\n".join(["header", *rows]).encode()})
    assert found["x"].shape == (5, 128, 6)
    assert found["x"][:, 0, 0].tolist() == [0, 64, 200, 264, 328]
    assert found["y"].tolist() == ["SEATED"] * 2 + ["WALKING"] * 3
    assert set(found["subject"]) == {7} and set(found["device"]) == {"sw"}


@needs_data
def test_no_test_speaker_is_heard_in_training() -> None:
    found = fsdd.recordings()
    heard = {n.split("_")[1] for n in found}
    assert len(found) == 3000 and set(fsdd.TEST_SPEAKERS) < heard and len(heard) == 6
    assert len(tasks.load("fsdd").test) == sum(n.split("_")[1] in fsdd.TEST_SPEAKERS for n in found)


@needs_data
def test_no_subject_is_in_two_splits() -> None:
    arrays = har._arrays()
    owner: dict[bytes, set[int]] = {}
    pixels = np.clip(np.rint(arrays["x"] * har.STEPS), -128, 127).astype(np.int8)
    for image, subject in zip(pixels, arrays["subject"]):
        owner.setdefault(image.tobytes(), set()).add(int(subject))
    task = tasks.load("har")
    who = [set().union(*(owner[i.tobytes()] for i in s.images)) for s in (task.test, task.validation, task.train)]
    assert [len(w) for w in who] == [6, 3, 14] and not (who[0] & who[1] or who[0] & who[2] or who[1] & who[2])
