# SPDX-License-Identifier: Apache-2.0
"""Lowering: each op of the Graph becomes calls of C kernels with constant parameters and tables.

One module per family of ops. What the kernels need beyond the tensors (requantization tables, scratch) is fixed here,
so that the planner, the cost models and the emitted C all see the same numbers.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import numpy as np

from mcunas.graph.ir import Graph, Op


@dataclass(frozen=True, eq=False)
class Table:
    """A constant array in flash. role: "weights", "bias", "requant" or "table" (look-up tables and the like)."""

    ctype: str
    data: np.ndarray
    role: str


@dataclass(frozen=True, eq=False)
class KernelCall:
    """One call ``<kernel>(&params, in..., out..., [scratch])``.

    kernel: the C function, defined in firmware/kernels/<kernel>.c with ``struct <kernel>`` in mn_kernels.h.
    params: the struct's fields in any order: int, tuple of int (an array member) or Table (a pointer member).
    inputs, outputs: tensor indices. scratch_bytes: 0 = the kernel takes no scratch argument.
    in_place: positions in `inputs` whose buffer the (single) output may overwrite, element i read before i is written.
    macs: multiply-accumulates, SAME-padding taps counted.
    """

    kernel: str
    params: dict[str, int | tuple[int, ...] | Table]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    scratch_bytes: int = 0
    in_place: tuple[int, ...] = ()
    macs: int = 0


Lowering = Callable[[Graph, Op], list[KernelCall]]
_LOWERINGS: dict[str, Lowering] = {}


def lowers(*kinds: str) -> Callable[[Lowering], Lowering]:
    """Register a lowering for op kinds. An op may become several calls (CONCATENATION) or none (RESHAPE)."""
    def register(function: Lowering) -> Lowering:
        _LOWERINGS.update(dict.fromkeys(kinds, function))
        return function
    return register


def lower(graph: Graph, op: Op) -> list[KernelCall]:
    """The kernel calls that compute `op`."""
    return _LOWERINGS[op.kind](graph, op)


from mcunas.compiler.lower import convolution, elementwise, movement, pooling, resize  # noqa: E402,F401  registration
