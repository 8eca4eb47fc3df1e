# SPDX-License-Identifier: Apache-2.0
"""COCO's mean average precision once more, from its definition and in plain loops: what pycocotools is checked against.

Per class and IoU threshold: answers by falling score, over all images; each takes the best free box of its image that it
overlaps enough; precision at 101 recalls is the best one at that recall or a greater one.
"""
from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

Box = tuple[float, float, float, float]         # left, top, right, bottom
Truth = tuple[int, int, Box]                    # image, class, box
Answer = tuple[int, int, Box, float]            # and the score

THRESHOLDS = [0.5 + 0.05 * k for k in range(10)]


def mean_average_precision(answers: Sequence[Answer], truths: Sequence[Truth], thresholds: Sequence[float] = THRESHOLDS
                           ) -> float:
    """Of the classes that occur in the truths."""
    return mean(_of_class([a for a in answers if a[1] == kind], [t for t in truths if t[1] == kind], threshold)
                for kind in sorted({t[1] for t in truths}) for threshold in thresholds)


def _of_class(answers: Sequence[Answer], truths: Sequence[Truth], threshold: float) -> float:
    taken, hits = set(), []
    for image, _, box, _ in sorted(answers, key=lambda a: (-a[3], a[0])):
        free = [(_overlap(box, t[2]), k) for k, t in enumerate(truths) if t[0] == image and k not in taken]
        overlap, best = max(free, default=(0.0, -1))
        hits.append(overlap >= threshold)
        if hits[-1]:
            taken.add(best)
    points = [(sum(hits[:n]) / len(truths), sum(hits[:n]) / n) for n in range(1, len(hits) + 1)]
    return mean(max((p for r, p in points if r >= k / 100 - 1e-9), default=0.0) for k in range(101))


def _overlap(a: Box, b: Box) -> float:
    """Shared over joint area."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(wide, 0) * max(high, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)
