# SPDX-License-Identifier: Apache-2.0
"""Lowering: each op of the Graph becomes calls of C kernels with constant parameters and tables.

One module per family of ops. What the kernels need beyond the tensors (requantization tables, scratch) is fixed here,
so that the planner, the cost models and the emitted C all see the same numbers.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from mcunas.graph.ir import Graph, Op


@dataclass(frozen=True, eq=False)
class Table:
    """A constant array in flash. role: "weights", "bias", "requant" or "table" (look-up tables and the like)."""

    ctype: str
    data: np.ndarray
    role: str


@dataclass(frozen=True)
class RowInput:
    """Rows of one input that output row y reads: those of [y * stride - before, y * stride - before + reach) that exist.

    stride 0: every output row reads the only input row. ring: the struct member that says how many rows the input's
    buffer holds (row r lies at slot r modulo ring). turn_work: what an output row costs more whose input rows cross the
    end of the ring, in multiply-accumulates of that core.
    """

    rows: int
    row_bytes: int
    ring: str
    stride: int = 1
    before: int = 0
    reach: int = 1
    turn_work: int = 0


@dataclass(frozen=True)
class Rows:
    """A kernel that computes any range of output rows: it takes two more arguments, `from` and `to`.

    from < to: rows from..to-1 upwards. from > to: rows from-1..to downwards, pixels from right to left. Equal: nothing.
    block_bytes: outputs that are computed together, across rows: a call costs as if its last block were full.
    """

    count: int
    row_bytes: int
    inputs: tuple[RowInput, ...]
    ring: str = "out_ring"
    block_bytes: int = 1


@dataclass(frozen=True)
class Overlap:
    """How an output may share bytes with a dying input of the call; None = it may not.

    input_above: least input offset - output offset when rows are computed upwards;
    output_above: least output offset - input offset when they are computed downwards.
    """

    input_above: int | None = None
    output_above: int | None = None


_LONG = ("exact", "signs", "ties")     # members of the kernels' structs
_LIMITS = {"low": (-128, -32768), "high": (127, 32767)}


@dataclass(frozen=True, eq=False)
class KernelCall:
    """One call ``<kernel>(&params, in..., out..., [scratch])``.

    kernel: the C function, defined in firmware/kernels/<kernel>.c with ``struct <kernel>`` in mn_kernels.h.
    params: the struct's fields in any order: int, tuple of int (an array member) or Table (a pointer member).
    inputs, outputs: tensor indices. scratch_bytes: 0 = the kernel takes no scratch argument.
    macs: multiply-accumulates of convolutions and fully connected layers, SAME-padding taps counted.
    moves, scattered: runs of bytes that a copy goes through one after another; bytes that it moves one by one.
    rows: set when the kernel computes ranges of rows. overlap: per input, how the output may overwrite it.
    image, images: which of how many equal parts of its tensors the call works on (one image of a batch).
    spaced: the call on some channels of wider tensors (steps.py), given the bytes from a pixel of the first input, and of
    the output, to the next; None for its own channels. It gives None where the kernel cannot; None: it never can.
    """

    kernel: str
    params: Mapping[str, int | tuple[int, ...] | Table]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    scratch_bytes: int = 0
    macs: int = 0
    moves: int = 0
    scattered: int = 0
    rows: Rows | None = None
    overlap: tuple[Overlap, ...] = ()
    image: int = 0
    images: int = 1
    spaced: Callable[[int | None, int | None], KernelCall | None] | None = None

    @property
    def rounds_long(self) -> bool:
        """Whether outputs take the longer of the kernel's two ways from accumulator to byte."""
        return any(self.params.get(name) for name in _LONG)

    @property
    def clamps(self) -> bool:
        """Whether outputs have closer limits than those of their type."""
        return any(self.params.get(name, ends[0]) not in ends for name, ends in _LIMITS.items())

    def bare(self) -> KernelCall:
        """What prices and plans need of it: without tables, and between its own tensors."""
        kept = {name: self.params[name] for name in (*_LONG, *_LIMITS) if name in self.params}
        return replace(self, params=kept, spaced=None)

    def overlap_with(self, position: int) -> Overlap:
        """What `overlap` says of the input at `position` in `inputs`."""
        return self.overlap[position] if position < len(self.overlap) else Overlap()


# Instruction sets by what they can run, best first: a board's isa names one (M55 and M85 have the DSP extension too).
ISAS = {"scalar": ("scalar",), "m0": ("m0", "scalar"), "m3": ("m3", "scalar"), "dsp": ("dsp", "scalar"),
        "mve": ("mve", "dsp", "scalar")}
# Further variants of an instruction set's kernels, fast for the flash they take: never taken unless chosen.
# wide: weights held as int16.
ROOMY = {"dsp": ("wide",)}

Lowering = Callable[[Graph, Op], "list[KernelCall] | None"]
_LOWERINGS: dict[tuple[str, str], Lowering] = {}


def lowers(*kinds: str, isa: str = "scalar", of_any_size: bool = False) -> Callable[[Lowering], Lowering]:
    """Register a lowering for op kinds. An op may become several calls (CONCATENATION) or none (RESHAPE).

    "CONV_2D int4" is a kind of its own here: the layer with int4 weights; "CONV_2D int16": on int16 activations.
    of_any_size: it serves int16 activations as well.

    A lowering for "dsp" or "mve" may return None: the next plainer one then takes the op.
    """
    def register(function: Lowering) -> Lowering:
        for kind in (*kinds, *(f"{kind} int16" for kind in kinds if of_any_size)):
            _LOWERINGS[kind, isa] = function
        return function
    return register


def _kind(graph: Graph, op: Op) -> str:
    dtypes = {graph.tensors[t].dtype for t in (*op.inputs, *op.outputs) if t >= 0}
    return op.kind + next((f" {dtype}" for dtype in ("int16", "int4") if dtype in dtypes), "")


def candidates(graph: Graph, op: Op, isa: str) -> dict[str, list[KernelCall]]:
    """Every way to compute `op` on a core with `isa`, by the name of its variant, best first."""
    found, kind = {}, _kind(graph, op)
    for variant in (*ROOMY.get(isa, ()), *ISAS[isa]):
        lowering = _LOWERINGS.get((kind, variant))
        calls = lowering(graph, op) if lowering else None
        if calls is not None:
            found[variant] = calls
    return found


def lower(graph: Graph, op: Op, isa: str = "scalar", variant: str | None = None) -> list[KernelCall]:
    """The kernel calls that compute `op` on a core with `isa`: those of `variant`, else the best of the usual ones.

    Raises KeyError when the op has no such variant.
    """
    kind = _kind(graph, op)
    for candidate in ISAS[isa] if variant is None else (variant,):
        lowering = _LOWERINGS.get((kind, candidate))
        calls = lowering(graph, op) if lowering else None
        if calls is not None:
            return calls
    raise KeyError(f"{kind} has no lowering {variant or isa!r}")


from mcunas.compiler.lower import (  # noqa: E402,F401  registration
    convolution,
    dsp,
    dsp_simple,
    elementwise,
    int4,
    int16,
    movement,
    mve,
    pooling,
    resize,
    scalar,
)
