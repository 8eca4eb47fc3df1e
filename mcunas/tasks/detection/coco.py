# SPDX-License-Identifier: Apache-2.0
"""Mean average precision as COCO defines it, by pycocotools itself."""
from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np

from mcunas.tasks.detection.decode import SUB


def precisions(found: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """{"mAP": over IoU 0.50 to 0.95, "mAP50": at IoU 0.5}, means over the classes that occur.

    found: (N, K, 6) as decode.boxes_of gives them; labels: (N, L, 5) as scenes gives them.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        return _evaluated(found, labels)


def _evaluated(found: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, answers = COCO(), COCO()
    kinds = [{"id": int(k)} for k in np.unique(labels[labels[:, :, 4] >= 0][:, 4])]
    images = [{"id": i} for i in range(len(labels))]
    for given, boxes, scores in ((truth, labels[:, :, :5], None), (answers, _in_pixels(found), found[:, :, 5])):
        given.dataset = {"images": images, "categories": kinds, "annotations": _annotations(boxes, scores)}
        given.createIndex()
    evaluation = COCOeval(truth, answers, "bbox")
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluation.params.maxDets = [found.shape[1]]
    evaluation.evaluate()
    evaluation.accumulate()
    values = evaluation.eval["precision"]           # (IoU thresholds, recalls, classes, 1, 1); -1 where there is no truth
    return {"mAP": _mean(values), "mAP50": _mean(values[0])}


def _in_pixels(found: np.ndarray) -> np.ndarray:
    boxes = found[:, :, :5].astype(np.float64)
    boxes[:, :, :4] /= SUB
    return boxes


def _annotations(boxes: np.ndarray, scores: np.ndarray | None) -> list[dict[str, Any]]:
    made = []
    for image, place in np.argwhere(boxes[:, :, 4] >= 0).tolist():
        left, top, right, bottom, kind = boxes[image, place].tolist()
        wide, high = max(right - left, 0), max(bottom - top, 0)
        one = {"id": len(made) + 1, "image_id": image, "category_id": int(kind), "bbox": [left, top, wide, high],
               "area": wide * high, "iscrowd": 0}
        made.append(one if scores is None else {**one, "score": float(scores[image, place])})
    return made


def _mean(values: np.ndarray) -> float:
    known = values[values > -1]
    return float(known.mean()) if known.size else 0.0
