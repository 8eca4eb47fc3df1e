# SPDX-License-Identifier: Apache-2.0
"""Loop nests over two strided tensors: axes merged where both run on without a gap, advances computed offline.

The form is the one that firmware/kernels/mn_tensor.h describes.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from mcunas.compiler.lower import Table

_LOOP_COST, _STEP_COST, _BLOCK_COST = 30.0, 5.0, 0.5     # instructions per outer iteration, strided and copied byte


@dataclass(frozen=True)
class Axis:
    """One loop: how often it runs and how far each tensor moves (elements)."""

    count: int
    step0: int
    step1: int


def merged(counts: Sequence[int], steps0: Sequence[int], steps1: Sequence[int]) -> list[Axis]:
    """The axes (outermost first) without those of 1, neighbours joined where both tensors run on without a gap."""
    axes: list[Axis] = []
    for count, step0, step1 in reversed(list(zip(counts, steps0, steps1))):
        if count == 1:
            continue
        inner = axes[0] if axes else None
        if inner and step0 == inner.count * inner.step0 and step1 == inner.count * inner.step1:
            axes[0] = Axis(count * inner.count, inner.step0, inner.step1)
        else:
            axes.insert(0, Axis(count, step0, step1))
    return axes or [Axis(1, 1, 1)]


def any_order(axes: list[Axis]) -> list[Axis]:
    """The same copies with the cheapest axis innermost: a long strided run beats many short contiguous ones."""
    total = prod(a.count for a in axes)

    def cost(axis: Axis) -> float:
        block = axis.step0 == 1 and axis.step1 == 1
        return total / axis.count * _LOOP_COST + total * (_BLOCK_COST if block else _STEP_COST)

    best = min(reversed(range(len(axes))), key=lambda k: cost(axes[k]))
    return [*axes[:best], *axes[best + 1:], axes[best]]


def loop_params(axes: list[Axis], names: tuple[str, str]) -> dict[str, int | Table]:
    """The kernel's fields: count, the two steps under their names, depth, loops."""
    *outer, inner = axes
    rows, back0, back1 = [], 0, 0                   # back: how far the loops inside have moved when they end
    for axis in reversed(outer):
        rows.insert(0, (axis.count, axis.step0 - back0, axis.step1 - back1))
        back0, back1 = back0 + (axis.count - 1) * axis.step0, back1 + (axis.count - 1) * axis.step1
    table = Table("int32_t", np.array(rows, np.int32).reshape(-1), "table") if rows else 0
    return {"count": inner.count, names[0]: inner.step0, names[1]: inner.step1, "depth": len(outer), "loops": table}


def dense_steps(shape: Sequence[int]) -> list[int]:
    """Elements between neighbours on each axis of a dense tensor."""
    return [prod(shape[i + 1:]) for i in range(len(shape))]
