# SPDX-License-Identifier: Apache-2.0
"""Random changes repeat with their generator, stay within their limits, and keep the shape."""
from __future__ import annotations

import pytest
import torch

from mcunas.tasks.augment import Augment

IMAGES = torch.arange(1, 64 * 2 * 6 * 4 + 1, dtype=torch.float32).view(64, 2, 6, 4)


def _changed(augment: Augment, seed: int = 0) -> torch.Tensor:
    return augment(IMAGES, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("augment", [
    Augment(shift_pixels=1, rotate_degrees=10, zoom=0.1), Augment(roll_rows=2, roll_columns=1), Augment(flip=True),
    Augment(roll_rows=2, repeat_edge=True), Augment(gain=0.2, noise=0.1),
])
def test_the_same_generator_changes_the_same(augment: Augment) -> None:
    found = _changed(augment)
    assert torch.equal(found, _changed(augment)) and not torch.equal(found, _changed(augment, 1))
    assert found.shape == IMAGES.shape


def test_rolling_is_a_crop_of_the_padded_image() -> None:
    for augment, mode in ((Augment(roll_rows=2), "constant"), (Augment(roll_rows=2, repeat_edge=True), "replicate")):
        padded = torch.nn.functional.pad(IMAGES, (0, 0, 2, 2), mode=mode)
        for image, whole in zip(_changed(augment), padded):
            assert any(torch.equal(image, whole[:, top:top + 6]) for top in range(5))


def test_about_half_the_images_are_mirrored() -> None:
    mirrored = [not torch.equal(a, b) for a, b in zip(_changed(Augment(flip=True)), IMAGES)]
    assert 16 < sum(mirrored) < 48
    assert torch.equal(_changed(Augment(flip=True))[mirrored.index(True)], IMAGES[mirrored.index(True)].flip(2))


def test_no_limits_change_nothing() -> None:
    assert _changed(Augment()) is IMAGES
