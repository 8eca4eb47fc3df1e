# SPDX-License-Identifier: Apache-2.0
"""Super-resolution: small images by hand, a metric that is PSNR, int8 and float outputs decoded alike."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mcunas.tasks.super_resolution import SuperResolution, halved
from mcunas.tasks.units import axis, written

OBJECTIVE = SuperResolution((4, 4))


def test_a_small_pixel_is_the_mean_of_four_with_halves_rounded_up() -> None:
    images = np.array([[[-128, -128, 0, 1], [-127, -127, 1, 1], [127, 127, 3, 3], [127, 127, 3, 4]]], np.int8)[..., None]
    assert halved(images)[0, ..., 0].tolist() == [[-127, 1], [127, 3]]


def test_the_metric_is_the_mean_over_images_of_their_psnr() -> None:
    labels = np.random.RandomState(0).randint(10, 240, (3, 4, 4, 1)).astype(np.uint8)
    answers = labels.copy()
    answers[0] += 5
    answers[1, :2] -= 3
    wanted = [10 * np.log10(255**2 / 25), 10 * np.log10(255**2 / 4.5), 10 * np.log10(255**2 * 12)]
    assert OBJECTIVE.measure(answers, labels) == {"PSNR": pytest.approx(np.mean(wanted))}


def test_int8_and_float_outputs_become_the_same_bytes_and_the_loss_is_that_of_pixels() -> None:
    q = np.arange(-128, -64, dtype=np.int8).reshape(4, 4, 4, 1)
    scale, zero_point = 0.004, -126
    real = (q.astype(np.float32) - zero_point) * np.float32(scale)
    assert np.array_equal(OBJECTIVE.decode(q, (scale, zero_point)), OBJECTIVE.decode(real, None))
    labels = torch.full((2, 4, 4, 1), 51, dtype=torch.uint8)
    assert float(OBJECTIVE.loss(torch.full((2, 1, 4, 4), 0.5), labels)) == pytest.approx(0.3)


def test_decibels_are_written_as_they_are_and_shares_in_per_cent() -> None:
    assert written("PSNR", 25.126) == "25.13 dB" and written("mAP", 0.25126) == "25.13%"
    assert axis("PSNR") == (1.0, "PSNR, dB") and axis("accuracy") == (100.0, "accuracy, %")
