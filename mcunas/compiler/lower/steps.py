# SPDX-License-Identifier: Apache-2.0
"""Pixel steps: the same layer between tensors that are some channels of wider ones.

A part of a concatenation along channels lies in the pixels of the whole: its own bytes of a pixel side by side, the next
pixel a step further. Rows and distances are then those of the whole tensors: a pixel of the input or output counts with
all its bytes, wherever in it the part lies.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mcunas.compiler.lower import KernelCall

Shape = tuple[int, ...]
_UINT16_MAX = (1 << 16) - 1


def steppable(at: Callable[[Shape, Shape], KernelCall], x: Shape, y: Shape, reads_apart: bool) -> KernelCall:
    """The call for input x and output y (NHWC), which can also be had with other steps.

    at(x, y): the call for shapes whose last number is the step, not the channels. reads_apart: whether the kernel can
    read pixels that lie further apart than their channels.
    """
    def spaced(in_step: int | None, out_step: int | None) -> KernelCall | None:
        if (in_step and not reads_apart) or max(in_step or 0, out_step or 0) > _UINT16_MAX:
            return None
        return at((*x[:3], in_step or x[3]), (*y[:3], out_step or y[3]))

    return replace(at(x, y), spaced=spaced)


def without_steps(calls: list[KernelCall]) -> list[KernelCall]:
    """The same for a layer whose pixels are not those of its tensors: a fully connected one takes many as one."""
    return [replace(call, spaced=None) for call in calls]
