# SPDX-License-Identifier: Apache-2.0
"""Items by their centres: a heat map per class and four distances to the box, without anchors, on one scale of the image.

The heat map's target and its focal loss are CenterNet's (Zhou et al., arXiv 1904.07850), the distances FCOS's (Tian et al.,
arXiv 1904.01355) under the generalized IoU (Rezatofighi et al., arXiv 1902.09630).
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mcunas.tasks.detection.coco import precisions
from mcunas.tasks.detection.decode import UNIT_PX, DetectionHead, boxes_of
from mcunas.tasks.objective import Quant

if TYPE_CHECKING:
    import torch

FINE = 2.0 ** -12       # grid of the outputs of float networks, so that they are decoded as int8 ones are
BOX_WEIGHT = 1.0
SPREAD = 0.18           # of the heat around a centre: standard deviation over the box's side
NEAR = 0.3              # heat from which on a cell learns the box


@dataclass(frozen=True)
class Detection:
    """size: (H, W) of the images. items: the classification task that they come from.

    Outputs (N, classes + 4, rows, columns); labels (N, K, 5) as scenes.py gives them.
    """

    classes: int
    size: tuple[int, int]
    items: str = ""
    metric: str = "mAP"
    head: str = "boxes"

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor, plain: bool = False) -> torch.Tensor:
        """Per item: focal loss of the heat map, and 1 - generalized IoU of the boxes of cells near a centre."""
        heat, target, weight = self._targets(outputs, labels)
        count = (heat == 1).sum().clamp_min(1)
        logits = outputs[:, :self.classes]
        boxed = weight.sum().clamp_min(1e-6)
        overlap = _generalized_iou(self._boxes(outputs), target)
        return _focal(logits, heat) / count + BOX_WEIGHT * ((1 - overlap) * weight).sum() / boxed

    def _centres(self, outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float]:
        """(x of the columns, y of the rows, stride) in pixels."""
        import torch

        rows, columns = outputs.shape[2:]
        stride = self.size[0] / rows
        return (torch.arange(columns) + 0.5) * stride, (torch.arange(rows) + 0.5) * stride, stride

    def _boxes(self, outputs: torch.Tensor) -> torch.Tensor:
        """(N, rows, columns, 4) left, top, right, bottom in pixels."""
        import torch

        x, y, _ = self._centres(outputs)
        # a distance below zero is none when decoded; here it keeps a slope that leads out
        far = torch.nn.functional.leaky_relu(outputs[:, self.classes:], 0.01) * UNIT_PX
        return torch.stack([x - far[:, 0], y[:, None] - far[:, 1], x + far[:, 2], y[:, None] + far[:, 3]], -1)

    def _targets(self, outputs: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(heat (N, classes, rows, columns), box of each cell (N, rows, columns, 4), its weight (N, rows, columns))."""
        import torch

        x, y, stride = self._centres(outputs)
        boxes, kind = labels[:, :, :4].float(), labels[:, :, 4].long()
        middle = (boxes[:, :, :2] + boxes[:, :, 2:]) / 2
        cell = (middle / stride).floor().clamp_min(0) * stride + stride / 2             # centre of the item's own cell
        spread = ((boxes[:, :, 2:] - boxes[:, :, :2]) * SPREAD).clamp_min(stride * 0.4)
        across = torch.exp(-((x - cell[:, :, :1]) / spread[:, :, :1]) ** 2 / 2)         # (N, K, columns)
        down = torch.exp(-((y - cell[:, :, 1:]) / spread[:, :, 1:]) ** 2 / 2)           # (N, K, rows)
        near = down[..., None] * across[:, :, None, :] * (kind >= 0)[:, :, None, None]  # (N, K, rows, columns)
        one_hot = torch.nn.functional.one_hot(kind.clamp_min(0), self.classes).to(near.dtype)
        heat = (near[:, :, None] * one_hot[:, :, :, None, None]).amax(1)
        weight, owner = near.max(1)
        index = owner[..., None].expand(*owner.shape, 4).reshape(len(boxes), -1, 4)
        target = boxes.gather(1, index).view(*owner.shape, 4)
        return heat, target, weight * (weight >= NEAR)

    def imitation(self, outputs: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Mean squared error."""
        return (outputs - wanted).square().mean()

    def decode(self, outputs: np.ndarray, quant: Quant | None) -> np.ndarray:
        """Boxes (N, K, 6), see decode.boxes_of."""
        if quant is None:
            outputs, quant = np.rint(np.clip(outputs, -100, 100) / FINE).astype(np.int32), (FINE, 0)
        return boxes_of(outputs, self.on_board(outputs.shape, quant))

    def measure(self, answers: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        return precisions(answers, labels)

    def wanted(self, classes: int) -> str:
        return f"(2, {classes + 4}, rows, columns) with a whole number of pixels per cell"

    def refuses(self, shape: tuple[int, ...], classes: int) -> bool:
        if len(shape) != 4 or shape[1] != classes + 4:
            return True
        strides = {side / cells for side, cells in zip(self.size, shape[2:])}
        return len(strides) != 1 or not strides.pop().is_integer()

    def on_board(self, shape: tuple[int, ...], quant: Quant) -> DetectionHead:
        return DetectionHead.of(shape, self.size, quant)


def _focal(logits: torch.Tensor, heat: torch.Tensor) -> torch.Tensor:
    """Summed: at centres (1 - p)^2 log p, elsewhere p^2 log(1 - p), less the nearer a centre is."""
    import torch.nn.functional as F

    p = logits.sigmoid()
    at_centre = (1 - p) ** 2 * F.softplus(-logits)
    elsewhere = p ** 2 * F.softplus(logits) * (1 - heat) ** 4
    return (at_centre * (heat == 1) + elsewhere * (heat < 1)).sum()


def _generalized_iou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Of boxes (..., 4): -1 to 1."""
    import torch

    def area(box: torch.Tensor) -> torch.Tensor:
        return (box[..., 2] - box[..., 0]).clamp_min(0) * (box[..., 3] - box[..., 1]).clamp_min(0)

    inner = torch.cat([torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])], -1)
    outer = torch.cat([torch.minimum(a[..., :2], b[..., :2]), torch.maximum(a[..., 2:], b[..., 2:])], -1)
    shared = area(inner)
    joint = area(a) + area(b) - shared
    around = area(outer)
    return shared / joint.clamp_min(1e-6) - (around - joint) / around.clamp_min(1e-6)
