# SPDX-License-Identifier: Apache-2.0
"""An arena in several memories (DTCM, SRAM, CCM): which buffer lies where, for the least traffic outside the fast one.

First-fit over the memories in the board's order, in several orders of the buffers and then in seeded random moves of the
best one. Buffers in different memories need no distance; where an output should lie over its dying input, both have to
be in one memory, and what that saves is what makes them fit. The model's inputs and outputs share one memory, its home:
that is the arena which the caller hands to `invoke`. Deterministic.
"""
from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from mcunas.compiler.place import FirstFit
from mcunas.compiler.schedule import Schedule

_TRIES = 400


@dataclass(frozen=True)
class Division:
    """offsets, regions: per buffer. region_bytes: what each memory must provide. slow_traffic: bytes moved to and from
    memories behind the first, times how far behind they are."""

    offsets: tuple[int, ...]
    regions: tuple[int, ...]
    region_bytes: tuple[int, ...]
    home: int
    slow_traffic: int


def divide(schedule: Schedule, capacities: Sequence[int]) -> Division | None:
    """The best division found of the schedule's buffers; None where none fits. capacities: bytes per memory."""
    found, fit = schedule.buffers, FirstFit(schedule.buffers, schedule.distances())
    border = set(schedule.program.sources | schedule.program.pinned)
    moved, indices = _traffic(schedule), range(len(found))
    keys = (lambda i: (-found[i].size_bytes, i), lambda i: (-moved[i] / found[i].size_bytes, i),
            lambda i: (-found[i].size_bytes * (found[i].last - found[i].first + 1), i), lambda i: (found[i].first, i))
    best: tuple[tuple[int, int, int], Division, list[int]] | None = None
    rng = random.Random(0)
    for home in range(len(capacities)):
        allowed = [(home,) if border & set(b.tensors) else tuple(range(len(capacities))) for b in found]
        tried = [_fill(fit, sorted(indices, key=key), allowed, capacities, moved, home) for key in keys]
        local = min(tried, key=lambda t: t[0])
        for _ in range(_TRIES):
            order = list(local[2])
            order.insert(rng.randrange(len(order)), order.pop(rng.randrange(len(order))))
            again = _fill(fit, order, allowed, capacities, moved, home)
            local = again if again[0] <= local[0] else local
        best = local if best is None or local[0] < best[0] else best
    return best[1] if best and best[0][0] == 0 else None


def _fill(fit: FirstFit, order: list[int], allowed: Sequence[Sequence[int]], capacities: Sequence[int],
          moved: Sequence[int], home: int) -> tuple[tuple[int, int, int], Division, list[int]]:
    """((bytes that found no place, memories that end with scratch, slow traffic), the division, the order)."""
    offsets, regions, homeless = [-1] * len(order), [-1] * len(order), 0
    used = [0] * len(capacities)
    for i in order:
        for region in allowed[i]:
            at = fit.lowest(i, [o if r == region else -1 for o, r in zip(offsets, regions)])
            if at + fit.found[i].size_bytes <= capacities[region]:
                offsets[i], regions[i] = at, region
                used[region] = max(used[region], at + fit.found[i].size_bytes)
                break
        else:
            homeless += fit.size[i]
    slow = sum(moved[i] * region for i, region in enumerate(regions) if region > 0)
    # Kernels need not touch the end of their scratch: where it lies last, the mark on the target is short.
    short = sum(not b.tensors and r >= 0 and o + b.size_bytes == used[r] for b, r, o in zip(fit.found, regions, offsets))
    return (homeless, short, slow), Division(tuple(offsets), tuple(regions), tuple(used), home, slow), order


def _traffic(schedule: Schedule) -> list[int]:
    """Bytes moved to and from each buffer in one inference: written once, read as windows gather them; scratch is read
    for every multiply-accumulate."""
    program, graph = schedule.program, schedule.program.graph
    written, read = dict.fromkeys(program.storage.values(), 0), dict.fromkeys(program.storage.values(), 0)
    macs = [sum(call.macs for call in calls) for calls in program.calls]
    for i, op in enumerate(graph.ops):
        for root in program.writes(i):
            written[root] += graph.tensors[root].size_bytes
        for root in program.reads(i):
            read[root] += max(graph.tensors[root].size_bytes, macs[i] // graph.tensors[op.outputs[0]].shape[-1]
                              if graph.tensors[op.outputs[0]].shape else 0)
    found = []
    for buffer in schedule.buffers:
        roots = {program.storage[t] for t in buffer.tensors}
        work = sum(macs[op] for op in schedule.steps[buffer.first].ops) if not buffer.tensors else 0
        found.append(sum(written[r] + read[r] for r in roots) + work)
    return found
