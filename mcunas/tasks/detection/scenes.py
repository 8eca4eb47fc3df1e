# SPDX-License-Identifier: Apache-2.0
"""Canvases with items on them: which items, how large, where, and the tight box of each. Equal arguments, equal bytes.

Everything is drawn from numpy's RandomState, whose streams are frozen for all versions, for all canvases of a block at once.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcunas.tasks.detection.textures import textures
from mcunas.tasks.task import Split

BLOCK = 500         # canvases that are made together
TRIES = 12          # places that are tried for an item before it is left out
OVERLAP = 0.15      # of the smaller box, that two items may share
STEPS = 128         # of a pixel: so coarse that all products are exact in float32, on any machine
INK = 24            # grey level from which on a pixel belongs to an item


@dataclass(frozen=True)
class Look:
    """size: pixels of the canvas's sides. sides: least and greatest side of an item's image. most: items on a canvas, at
    least one. mirrored: whether half of the items are."""

    size: int
    sides: tuple[int, int]
    most: int
    mirrored: bool = False


def draw_scenes(items: Split, look: Look, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(int8 images (count, size, size, 1), int16 boxes (count, most, 5)).

    items: images of one item each, grey on black as int8 (value - 128), and their classes. A box is
    (left, top, right, bottom, class) in pixels, right and bottom exclusive; a class of -1 means that there is none.
    """
    blocks = [_block(items, look, min(BLOCK, count - at), seed * 1000 + at // BLOCK) for at in range(0, count, BLOCK)]
    return np.concatenate([b[0] for b in blocks]), np.concatenate([b[1] for b in blocks])


def _block(items: Split, look: Look, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.RandomState(seed)
    canvas = np.zeros((count, *[look.size + look.sides[1]] * 2), np.float32)        # a margin, for patches that are not full
    canvas[:, :look.size, :look.size] = textures(count, look.size, random)
    wanted = random.randint(1, look.most + 1, count)
    boxes = np.zeros((count, look.most, 5), np.int16)
    boxes[:, :, 4] = -1
    for number in range(look.most):
        which, side = random.randint(0, len(items), count), random.uniform(*look.sides, count)
        mirrored = random.uniform(size=count) < (0.5 if look.mirrored else 0.0)
        bright, tries = random.uniform(0.7, 1.0, count), random.uniform(size=(count, TRIES, 2))
        patches = _scaled(items.images[which, :, :, 0], side, look.sides[1], mirrored)
        extent = _extent(patches)
        corners = np.floor(tries * (look.size - np.ceil(side)[:, None, None] + 1)).astype(np.int64)     # (N, T, 2): x, y
        places = extent[:, None, :] + np.concatenate([corners, corners], axis=2)
        free = ~np.any(_shared(places, boxes) > OVERLAP, axis=2)                                        # (N, T)
        is_there = (number < wanted) & free.any(axis=1)
        chosen = np.argmax(free, axis=1)
        at = corners[np.arange(count), chosen]
        boxes[is_there, number, :4] = places[np.arange(count), chosen][is_there]
        boxes[is_there, number, 4] = items.labels[which][is_there]
        _paste(canvas, patches * bright[:, None, None].astype(np.float32), at, is_there)
    pixels = np.clip(np.rint(canvas[:, :look.size, :look.size]), 0, 255).astype(np.int16) - 128
    return pixels.astype(np.int8)[..., None], boxes


def _scaled(images: np.ndarray, side: np.ndarray, most: int, mirrored: np.ndarray) -> np.ndarray:
    """int8 (N, S, S) -> grey float32 (N, most, most): each scaled to its side, in the top left corner, bilinear."""
    count, source = images.shape[:2]
    at = (np.arange(most) + 0.5) * (source / side)[:, None] - 0.5                   # (N, most), in the source's pixels
    along = np.where(mirrored[:, None], source - 1 - at, at)
    grey = np.zeros((count, source + 2, source + 2), np.float32)                    # a border of black
    grey[:, 1:-1, 1:-1] = images.astype(np.float32) + 128
    y, x = (np.rint(np.clip(a + 1, 0, source + 1) * STEPS) / STEPS for a in (at, along))
    weights = [_weights(at, source + 2) for at in (y, x)]                            # (N, most, S + 2)
    return weights[0] @ grey @ weights[1].transpose(0, 2, 1)


def _weights(at: np.ndarray, source: int) -> np.ndarray:
    """(N, P) places -> float32 (N, P, source): how much of each of the source's pixels lies there."""
    return np.clip(1 - np.abs(at[:, :, None] - np.arange(source)), 0, 1).astype(np.float32)


def _extent(patches: np.ndarray) -> np.ndarray:
    """(N, 4) left, top, right, bottom of what is not black."""
    is_ink = patches >= INK
    found = []
    for axis in (1, 2):         # over rows: columns with ink; over columns: rows with ink
        has = np.asarray(is_ink.any(axis=axis))
        found.append((has.argmax(axis=1), has.shape[1] - has[:, ::-1].argmax(axis=1)))
    (left, right), (top, bottom) = found
    return np.stack([left, top, right, bottom], axis=1)


def _shared(places: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """places (N, T, 4), boxes (N, K, 5) -> (N, T, K): shared area over the smaller box's."""
    a, b = places[:, :, None, :].astype(np.float64), boxes[:, None, :, :4].astype(np.float64)
    wide = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    high = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    areas = [(c[..., 2] - c[..., 0]) * (c[..., 3] - c[..., 1]) for c in (a, b)]
    return np.clip(wide, 0, None) * np.clip(high, 0, None) / np.clip(np.minimum(*areas), 1, None)


def _paste(canvas: np.ndarray, patches: np.ndarray, at: np.ndarray, is_there: np.ndarray) -> None:
    """Blend patches (N, P, P) into canvas (N, S, S), in place; dark pixels are transparent. at: (N, 2) x, y."""
    most = patches.shape[1]
    cover = np.clip(patches / (2 * INK), 0, 1) * is_there[:, None, None]
    for image, (x, y) in enumerate(at.tolist()):
        part = canvas[image, y:y + most, x:x + most]
        part += cover[image] * (30 + 0.88 * patches[image] - part)
