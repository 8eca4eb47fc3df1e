# SPDX-License-Identifier: Apache-2.0
"""Splits of the data sets on disk: fixed by digest, never overlapping, all classes in each."""
from __future__ import annotations

import hashlib
import os

import numpy as np
import pytest

from mcunas import tasks
from mcunas.tasks.test_reads import open_test, reads

pytestmark = pytest.mark.skipif(not os.environ.get("MCUNAS_DATA"), reason="MCUNAS_DATA names no folder with data sets")
SPLITS = {"fashion-mnist": ((55000, 5000, 10000), "1c588d41c4217c7e"), "fsdd": ((1750, 250, 1000), "3a280b4112f2485e"),
          "har": ((2049, 363, 866), "fcf2e6a68e9250df")}


@pytest.mark.parametrize("name", SPLITS)
def test_splits_are_fixed_disjoint_and_cover_all_classes(name: str) -> None:
    task, (sizes, digest) = tasks.load(name), SPLITS[name]
    parts = [task.train, task.validation, task.test]
    assert tuple(len(p) for p in parts) == sizes
    seen = [{hashlib.sha256(image.tobytes()).digest() for image in p.images} for p in parts]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    assert all(set(p.labels) == set(range(task.classes)) for p in parts)
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.images.tobytes() + part.labels.astype(np.int8).tobytes())
    assert whole.hexdigest()[:16] == digest


def test_a_sealed_task_holds_no_test_images_and_every_read_is_written_down(tmp_path) -> None:
    task = tasks.load("fashion-mnist")
    assert len(task.sealed().test) == 0 and len(task.sealed().train) == len(task.train)
    assert len(open_test(task, tmp_path, "float", 7)) == 7
    open_test(task, tmp_path, "board")
    assert [(r["stage"], r["images"]) for r in reads(tmp_path)] == [("float", 7), ("board", 10000)]
