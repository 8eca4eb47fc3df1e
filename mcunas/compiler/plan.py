# SPDX-License-Identifier: Apache-2.0
"""The static memory plan: schedule, an offset for every tensor and scratch buffer, and the direction of every op.

This is the one source of RAM figures: the search, the linker's assertion and the report all read it.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

from mcunas.compiler.lifetime import Program
from mcunas.compiler.place import place
from mcunas.compiler.regions import divide
from mcunas.compiler.schedule import Buffer, Schedule, preferred
from mcunas.graph.ir import Graph


@dataclass(frozen=True, eq=False)
class Plan:
    """arena_bytes: of all memories together. buffer_offsets, buffer_regions: one per buffer of the schedule.

    region_bytes: what each memory must provide. home: the memory that holds inputs and outputs.
    """

    schedule: Schedule
    arena_bytes: int
    buffer_offsets: tuple[int, ...]
    buffer_regions: tuple[int, ...] = ()        # all 0, if left out
    region_bytes: tuple[int, ...] = ()          # all in the first, if left out
    home: int = 0

    def __post_init__(self) -> None:
        if not self.buffer_regions:
            object.__setattr__(self, "buffer_regions", (0,) * len(self.buffer_offsets))
            object.__setattr__(self, "region_bytes", (self.arena_bytes,))

    @property
    def program(self) -> Program:
        return self.schedule.program

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        return self.schedule.buffers

    @property
    def order(self) -> tuple[int, ...]:
        return self.schedule.order

    @property
    def bound_bytes(self) -> int:
        """The liveness lower bound of this schedule."""
        return self.schedule.bound_bytes

    @property
    def live_bytes_per_step(self) -> tuple[int, ...]:
        return self.schedule.live_bytes_per_step

    @cached_property
    def offsets(self) -> dict[int, int]:
        """Tensor -> arena offset (of its ring buffer, inside a stream)."""
        parts = self.program.parts
        return {t: at + parts.get(t, (t, 0))[1] for b, at in zip(self.buffers, self.buffer_offsets) for t in b.tensors}

    @cached_property
    def regions(self) -> dict[int, int]:
        """Tensor -> memory."""
        return {t: region for b, region in zip(self.buffers, self.buffer_regions) for t in b.tensors}

    @cached_property
    def scratch(self) -> dict[int, tuple[int, int]]:
        """Step -> (memory, offset) of its scratch."""
        return {b.first: (region, at) for b, region, at in zip(self.buffers, self.buffer_regions, self.buffer_offsets)
                if not b.tensors}

    @cached_property
    def downwards(self) -> frozenset[int]:
        """Last ops of the steps that must run from the last row to the first: their output overlaps a dying input from
        above."""
        found = set()
        for step in self.schedule.steps:
            out = self.program.storage[self.program.graph.ops[step.ops[-1]].outputs[0]]
            for root, overlap in step.overlaps.items():
                distance = self.offsets[out] - self.offsets[root]
                upwards = overlap.input_above is not None and -distance >= overlap.input_above
                apart = (distance >= self.program.size[root] or -distance >= self.program.size[out]
                         or self.regions[out] != self.regions[root])
                if not upwards and not apart:
                    found.add(step.ops[-1])
        return frozenset(found)

    @staticmethod
    def of(schedule: Schedule) -> Plan:
        arena_bytes, offsets = place(schedule.buffers, schedule.bound_bytes, schedule.distances())
        return Plan(schedule, arena_bytes, tuple(offsets))

    @staticmethod
    def divided(schedule: Schedule, capacities: Sequence[int]) -> Plan | None:
        """In several memories; None where no division was found."""
        found = divide(schedule, capacities)
        return None if found is None else Plan(schedule, sum(found.region_bytes), found.offsets, found.regions,
                                               found.region_bytes, found.home)

    def whole_in(self, region: int, count: int) -> Plan:
        """The same arena in one of `count` memories."""
        used = tuple(self.arena_bytes if k == region else 0 for k in range(count))
        return replace(self, buffer_regions=(region,) * len(self.buffers), region_bytes=used, home=region)

    @staticmethod
    def within(schedules: list[Schedule], limit_bytes: int | None, capacities: Sequence[int] = ()) -> Plan:
        """The first plan that keeps the limit, or the one of the smallest arena.

        capacities: bytes of several memories, the fastest first; what it does not hold goes into the others.
        """
        plans = []
        for schedule in schedules:
            plan = Plan.of(schedule)
            if capacities and plan.arena_bytes > capacities[0]:
                whole = next((k for k, room in enumerate(capacities) if plan.arena_bytes <= room), 0)
                plan = Plan.divided(schedule, capacities) or plan.whole_in(whole, len(capacities))
            plans.append(plan)
            if limit_bytes is None or plan.fits(limit_bytes, capacities):
                return plan
        return min(plans, key=lambda found: found.arena_bytes)

    def fits(self, limit_bytes: int, capacities: Sequence[int] = ()) -> bool:
        return self.arena_bytes <= limit_bytes and all(
            used <= room for used, room in zip(self.region_bytes, capacities or self.region_bytes))


def plan(graph: Graph, isa: str = "scalar", goal: str = "balanced", limit_bytes: int | None = None,
         choice: Mapping[int, str] = MappingProxyType({}), capacities: Sequence[int] = ()) -> Plan:
    """Plan `graph` (int8, verified) for a core with `isa`. goal: see schedule.preferred.

    limit_bytes: the arena's limit, kept where that can be. choice: op index -> variant of its kernels. capacities: of
    several memories, see Plan.within.
    """
    return Plan.within(preferred(Program.of(graph, isa, choice), goal, limit_bytes), limit_bytes,
                       capacities)
