# SPDX-License-Identifier: Apache-2.0
"""Outputs -> boxes in integers: the reference of firmware/decode/mn_boxes_s8.c, byte for byte.

The output is (rows, columns, classes + 4): a heat map per class, whose peaks are the items' centres, and the distances from
a cell's centre to the box's left, top, right and bottom. All of it is on one grid of integers (real = scale * (q - zero
point)), logits as they are, distances in units of UNIT_PX. A peak is a cell that no neighbour of its class exceeds, of
equal ones the first; the best CAPACITY peaks above a threshold stay, without those that cover a better one of their class.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

UNIT_PX = 4         # pixels that a distance of 1 stands for: puts distances on the scale of logits
SUB = 16            # steps of a pixel in which boxes are given
CAPACITY = 12       # boxes of an image
THRESHOLD = -3.0    # logit below which no cell is a peak
SHIFT = 12
NOTHING = -(1 << 40)    # less than any score, and its opposite is a number too


@dataclass(frozen=True)
class DetectionHead:
    """An output of (rows, columns, classes + 4) integers on images of height x width pixels, stride_px per cell.

    Distance in steps = (q - zero_point) * multiplier >> SHIFT, rounded. threshold: least q of a peak, less one.
    """

    rows: int
    columns: int
    classes: int
    stride_px: int
    height: int
    width: int
    zero_point: int
    multiplier: int
    threshold: int

    @staticmethod
    def of(shape: tuple[int, ...], size: tuple[int, int], quant: tuple[float, int]) -> DetectionHead:
        """shape: (rows, columns, classes + 4) at its end. size: (H, W) of the images. quant: the output's."""
        rows, columns, depth = shape[-3:]
        scale, zero_point = quant
        return DetectionHead(rows, columns, depth - 4, size[0] // rows, *size, zero_point,
                             round(scale * UNIT_PX * SUB * (1 << SHIFT)), int(np.floor(THRESHOLD / scale)) + zero_point)


def boxes_of(outputs: np.ndarray, head: DetectionHead) -> np.ndarray:
    """int (N, rows, columns, classes + 4) -> int32 (N, CAPACITY, 6): left, top, right, bottom in steps, class, score.

    Best first; the score is the logit's q. A class of -1 means that there are no more.
    """
    q = outputs.reshape(-1, head.rows, head.columns, head.classes + 4).astype(np.int64)
    count, score = len(q), q[..., :head.classes]
    flat = np.where(_is_peak(score) & (score > head.threshold), score, NOTHING).reshape(count, -1)
    order = np.argsort(-flat, axis=1, kind="stable")[:, :CAPACITY] if flat.size else np.zeros((0, CAPACITY), np.int64)
    best = np.take_along_axis(flat, order, axis=1)
    cell, kind = order // head.classes, order % head.classes
    steps = np.clip(q[..., head.classes:] - head.zero_point, 0, None).reshape(count, -1, 4)
    steps = (steps * head.multiplier + (1 << (SHIFT - 1))) >> SHIFT
    left, top, right, bottom = np.moveaxis(np.take_along_axis(steps, cell[:, :, None], axis=1), 2, 0)
    x = (cell % head.columns * head.stride_px * SUB) + head.stride_px * SUB // 2
    y = (cell // head.columns * head.stride_px * SUB) + head.stride_px * SUB // 2
    boxes = np.stack([np.maximum(x - left, 0), np.maximum(y - top, 0), np.minimum(x + right, head.width * SUB),
                      np.minimum(y + bottom, head.height * SUB), kind, best], axis=2)
    is_there = _not_covered(boxes, best > NOTHING)
    return _packed(boxes, is_there)


def padded(found: Sequence[np.ndarray]) -> np.ndarray:
    """Boxes of each image, (n, 6) with n up to CAPACITY, as boxes_of gives them."""
    whole = np.zeros((len(found), CAPACITY, 6), np.int32)
    whole[:, :, 4] = -1
    for image, boxes in enumerate(found):
        whole[image, :len(boxes)] = boxes
    return whole


def _is_peak(score: np.ndarray) -> np.ndarray:
    """score: (N, H, W, C)."""
    height, width = score.shape[1:3]
    padded = np.pad(score, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=NOTHING)
    found = np.ones(score.shape, bool)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            other = padded[:, 1 + dy:1 + dy + height, 1 + dx:1 + dx + width]
            if (dy, dx) != (0, 0):
                found &= score > other if (dy, dx) < (0, 0) else score >= other
    return found


def _not_covered(boxes: np.ndarray, is_there: np.ndarray) -> np.ndarray:
    """Which boxes (N, K, 6) stay: those that share no more than half of the joint area with a better one that stays."""
    stays = is_there.copy()
    for better in range(boxes.shape[1]):
        a, b = boxes[:, better, None], boxes
        wide = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
        high = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
        shared = np.clip(wide, 0, None) * np.clip(high, 0, None)
        joint = _area(a) + _area(b) - shared
        covered = (2 * shared > joint) & (a[..., 4] == b[..., 4]) & stays[:, better, None]
        covered[:, :better + 1] = False
        stays &= ~covered
    return stays


def _area(boxes: np.ndarray) -> np.ndarray:
    return np.clip(boxes[..., 2] - boxes[..., 0], 0, None) * np.clip(boxes[..., 3] - boxes[..., 1], 0, None)


def _packed(boxes: np.ndarray, is_there: np.ndarray) -> np.ndarray:
    """Those that are there first, in their order; the rest is zero with a class of -1; CAPACITY of them."""
    order = np.argsort(~is_there, axis=1, kind="stable")
    boxes, is_there = np.take_along_axis(boxes, order[:, :, None], axis=1), np.take_along_axis(is_there, order, axis=1)
    packed = np.zeros((len(boxes), CAPACITY, 6), np.int32)
    packed[:, :, 4] = -1
    packed[:, :boxes.shape[1]][is_there] = boxes[is_there]
    return packed
