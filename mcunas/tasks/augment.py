# SPDX-License-Identifier: Apache-2.0
"""Random changes to training images, drawn from a given generator: a resumed epoch repeats an uninterrupted one."""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Augment:
    """Limits of the changes; zero means none.

    shift_pixels, rotate_degrees, zoom: an affine warp, bilinear with zeros outside. roll_rows, roll_columns: a whole
    number of pixels, what a crop of the padded image does: zeros move in, or the edge again (repeat_edge). flip:
    mirrored left to right, half of them. gain: each image times 1 - gain .. 1 + gain. noise: standard deviation of
    what is added to every element, in real units.
    """

    shift_pixels: float = 0.0
    rotate_degrees: float = 0.0
    zoom: float = 0.0
    roll_rows: int = 0
    roll_columns: int = 0
    flip: bool = False
    repeat_edge: bool = False
    gain: float = 0.0
    noise: float = 0.0

    def __call__(self, images: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """images: float (N, C, H, W)."""
        if self.shift_pixels or self.rotate_degrees or self.zoom:
            images = self._warp(images, random)
        if self.roll_rows or self.roll_columns:
            images = self._roll(images, random)
        if self.flip:
            images = _flip(images, random)
        if self.gain:
            images = _gain(images, self.gain, random)
        if self.noise:
            images = _noise(images, self.noise, random)
        return images

    def _warp(self, images: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        import torch
        import torch.nn.functional as F

        count, _, height, width = images.shape
        draw = torch.rand(4, count, generator=random) * 2 - 1
        angle, zoom = draw[0] * math.radians(self.rotate_degrees), 1 + draw[1] * self.zoom
        right, down = draw[2] * 2 * self.shift_pixels / width, draw[3] * 2 * self.shift_pixels / height
        affine = torch.stack([torch.cos(angle) * zoom, -torch.sin(angle) * zoom, right,
                              torch.sin(angle) * zoom, torch.cos(angle) * zoom, down], 1)
        grid = F.affine_grid(affine.view(count, 2, 3), list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, align_corners=False)

    def _roll(self, images: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        import torch
        import torch.nn.functional as F

        count, _, height, width = images.shape
        rows, columns = self.roll_rows, self.roll_columns
        top = torch.randint(2 * rows + 1, (count, 1), generator=random) + torch.arange(height)
        left = torch.randint(2 * columns + 1, (count, 1), generator=random) + torch.arange(width)
        padded = F.pad(images, (columns, columns, rows, rows), mode="replicate" if self.repeat_edge else "constant")
        which = torch.arange(count)[:, None, None]
        cut = padded.permute(0, 2, 3, 1)[which, top[:, :, None], left[:, None, :]]        # (N, H, W, C)
        return cut.permute(0, 3, 1, 2)


def _flip(images: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    import torch

    is_flipped = torch.rand(len(images), 1, 1, 1, generator=random) < 0.5
    return torch.where(is_flipped, images.flip(3), images)


def _gain(images: torch.Tensor, limit: float, random: torch.Generator) -> torch.Tensor:
    import torch

    return images * (1 + limit * (2 * torch.rand(len(images), 1, 1, 1, generator=random) - 1))


def _noise(images: torch.Tensor, deviation: float, random: torch.Generator) -> torch.Tensor:
    import torch

    return images + deviation * torch.randn(images.shape, generator=random)
