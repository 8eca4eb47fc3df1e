# SPDX-License-Identifier: Apache-2.0
"""The static memory plan: operator order, live bytes at each step, and an offset for every tensor and scratch buffer.

This is the one source of RAM figures: the search, the linker's assertion and the report all read it.
"""
from __future__ import annotations

from dataclasses import dataclass

from mcunas.compiler.lifetime import Buffer, Program, buffers, live_bytes
from mcunas.compiler.order import best_order
from mcunas.compiler.place import place
from mcunas.graph.ir import Graph


@dataclass(frozen=True, eq=False)
class Plan:
    """arena_bytes: what the caller must provide. bound_bytes: the liveness lower bound for this order.

    order: op indices; offsets: tensor -> arena offset; scratch_offsets: op -> arena offset;
    live_bytes_per_step: aligned live bytes at each position of `order`; buffers with `buffer_offsets` for pictures.
    """

    arena_bytes: int
    bound_bytes: int
    order: tuple[int, ...]
    offsets: dict[int, int]
    scratch_offsets: dict[int, int]
    live_bytes_per_step: tuple[int, ...]
    buffers: tuple[Buffer, ...]
    buffer_offsets: tuple[int, ...]
    program: Program


def plan(graph: Graph) -> Plan:
    """Plan `graph` (int8, verified) for least RAM."""
    program = Program.of(graph)
    order = best_order(program)
    found = buffers(program, order)
    live = live_bytes(found, max(len(order), 1))
    arena_bytes, where = place(found, max(live))
    offsets = {t: at for b, at in zip(found, where) for t in b.tensors}
    scratch = {order[b.first]: at for b, at in zip(found, where) if not b.tensors}
    return Plan(arena_bytes, max(live), order, offsets, scratch, live, tuple(found), tuple(where), program)
