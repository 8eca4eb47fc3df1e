# SPDX-License-Identifier: Apache-2.0
"""What kernels cost, whole and row by row, in multiply-accumulates of the core that runs them.

Rough on purpose: it ranks schedules of one network and says what share of the network's work a stream wastes. Absolute
figures are mcunas.cost's business. Counted against a stream: kernel calls, blocks that end with a call instead of
running on into the next row, and windows that are read across the end of a ring.
"""
from __future__ import annotations

from collections.abc import Sequence

from mcunas.compiler.lower import KernelCall

CALL = 150          # entering a kernel and finding its first row
_PER_OUTPUT = 12    # requantizing and storing one value


def whole(call: KernelCall, output_bytes: int) -> int:
    """A call that computes all `output_bytes` of its output."""
    return CALL + call.macs + _PER_OUTPUT * output_bytes


def by_rows(call: KernelCall, done: Sequence[int], ring_rows: Sequence[int | None]) -> int:
    """What calls up to done[0], done[1], ... rows cost more than a single one (0 rows take no call).

    ring_rows: per input, what its ring holds; None where the input is whole.
    """
    rows = call.rows
    assert rows is not None
    per_byte = whole(call, rows.count * rows.row_bytes) / (rows.count * rows.row_bytes)
    counts = [later - earlier for earlier, later in zip(done, done[1:]) if later > earlier]
    idle = sum(-n * rows.row_bytes % rows.block_bytes for n in counts)
    idle -= -rows.count * rows.row_bytes % rows.block_bytes
    turns = 0
    for source, ring in zip(rows.inputs, ring_rows):
        if ring and source.turn_work:
            first = (max(0, y * source.stride - source.before) for y in range(rows.count))
            turns += source.turn_work * sum(row % ring + source.reach > ring for row in first)
    return round((len(counts) - 1) * CALL + idle * per_byte) + turns
