# SPDX-License-Identifier: Apache-2.0
"""The static memory plan: schedule, an offset for every tensor and scratch buffer, and the direction of every op.

This is the one source of RAM figures: the search, the linker's assertion and the report all read it.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from mcunas.compiler.lifetime import Program
from mcunas.compiler.place import place
from mcunas.compiler.schedule import Buffer, Schedule, preferred
from mcunas.graph.ir import Graph


@dataclass(frozen=True, eq=False)
class Plan:
    """arena_bytes: what the caller must provide. buffer_offsets: one per buffer of the schedule."""

    schedule: Schedule
    arena_bytes: int
    buffer_offsets: tuple[int, ...]

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
        return {t: at for b, at in zip(self.buffers, self.buffer_offsets) for t in b.tensors}

    @cached_property
    def scratch_offsets(self) -> dict[int, int]:
        """Step -> arena offset of its scratch."""
        return {b.first: at for b, at in zip(self.buffers, self.buffer_offsets) if not b.tensors}

    @cached_property
    def downwards(self) -> frozenset[int]:
        """Last ops of the steps that must run from the last row to the first: their output overlaps a dying input from
        above."""
        found = set()
        for step in self.schedule.steps:
            out = self.program.graph.ops[step.ops[-1]].outputs[0]
            for root, overlap in step.overlaps.items():
                distance = self.offsets[out] - self.offsets[root]
                upwards = overlap.input_above is not None and -distance >= overlap.input_above
                apart = distance >= self.program.size[root] or -distance >= self.program.size[out]
                if not upwards and not apart:
                    found.add(step.ops[-1])
        return frozenset(found)

    @staticmethod
    def of(schedule: Schedule) -> Plan:
        arena_bytes, offsets = place(schedule.buffers, schedule.bound_bytes, schedule.distances())
        return Plan(schedule, arena_bytes, tuple(offsets))

    @staticmethod
    def within(schedules: list[Schedule], limit_bytes: int | None) -> Plan:
        """The first plan that keeps the limit, or the one of the smallest arena."""
        plans = []
        for schedule in schedules:
            plans.append(Plan.of(schedule))
            if limit_bytes is None or plans[-1].arena_bytes <= limit_bytes:
                return plans[-1]
        return min(plans, key=lambda found: found.arena_bytes)


def plan(graph: Graph, isa: str = "scalar", goal: str = "balanced", limit_bytes: int | None = None,
         choice: Mapping[int, str] = MappingProxyType({})) -> Plan:
    """Plan `graph` (int8, verified) for a core with `isa`. goal: see schedule.preferred.

    limit_bytes: the arena's limit, kept where that can be. choice: op index -> variant of its kernels.
    """
    return Plan.within(preferred(Program.of(graph, isa, choice), goal, limit_bytes), limit_bytes)
