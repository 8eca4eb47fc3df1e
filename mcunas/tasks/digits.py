# SPDX-License-Identifier: Apache-2.0
"""Handwritten digits: the 1797 real 8x8 images that scikit-learn carries (UCI test set of optical digits), at 16x16.

Splits are fixed by a hash of each image's content, so that they depend on no library version, order or seed, and equal
images never fall on both sides: 1167 train, 180 validation, 450 test.
"""
from __future__ import annotations

import hashlib

import numpy as np

from mcunas.tasks.augment import Augment
from mcunas.tasks.task import Split, Task

SIZE = 16
TEST, VALIDATION = 450, 180


def upsample(images: np.ndarray) -> np.ndarray:
    """(N, 8, 8) values 0..16 -> uint8 (N, 16, 16), bilinear with half-pixel centres, in exact integer arithmetic."""
    for axis in (1, 2):
        moved = np.moveaxis(images.astype(np.int64), axis, -1)
        edge = np.concatenate([moved[..., :1], moved, moved[..., -1:]], axis=-1)
        doubled = np.empty((*moved.shape[:-1], 2 * moved.shape[-1]), np.int64)
        doubled[..., 0::2] = 3 * moved + edge[..., :-2]
        doubled[..., 1::2] = 3 * moved + edge[..., 2:]
        images = np.moveaxis(doubled, -1, axis)
    return ((images * 255 + 128) // 256).astype(np.uint8)      # each axis multiplied by 4: 16 * 16 = 256


def load() -> Task:
    """Digits with pixels in [0, 1] as int8: scale 1/255, zero point -128."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    order = sorted(range(len(raw.images)),
                   key=lambda i: (hashlib.sha256(raw.images[i].astype(np.uint8).tobytes()).digest(), i))
    pixels = (upsample(raw.images)[order].astype(np.int16) - 128).astype(np.int8)[..., None]
    labels = raw.target[order].astype(np.int64)
    cuts = np.split(np.arange(len(order)), [TEST, TEST + VALIDATION])
    test, validation, train = (Split(pixels[c], labels[c]) for c in cuts)
    return Task("digits", 10, train, validation, test, float(np.float32(1 / 255)), -128,
                augment=Augment(shift_pixels=1.5, rotate_degrees=10.0, zoom=0.1))
