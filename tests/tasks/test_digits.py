# SPDX-License-Identifier: Apache-2.0
"""The digits: real images, splits that never change and never overlap."""
from __future__ import annotations

import hashlib

import numpy as np

from mcunas import tasks

TEST_SPLIT = "53f3e5621236e144"


def test_splits_are_fixed_disjoint_and_cover_all_classes() -> None:
    task = tasks.load("digits")
    parts = [task.train, task.validation, task.test]
    assert [len(p) for p in parts] == [1167, 180, 450]
    seen = [{image.tobytes() for image in p.images} for p in parts]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    assert all(set(p.labels) == set(range(10)) for p in parts)
    digest = hashlib.sha256(task.test.images.tobytes() + task.test.labels.astype(np.int8).tobytes()).hexdigest()
    assert digest.startswith(TEST_SPLIT)


def test_images_use_the_whole_input_range() -> None:
    task = tasks.load("digits")
    real = task.real(task.test.images)
    assert task.input_shape == (16, 16, 1) and real.shape == (450, 1, 16, 16)
    assert real.min() == 0.0 and abs(real.max() - 1.0) < 1e-6
