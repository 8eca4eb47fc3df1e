# SPDX-License-Identifier: Apache-2.0
"""The arena at each stage of compilation: what passes, order, sharing and streams each take away from it.

The first three stages are what an interpreter does that gives every tensor bytes of its own: ops one by one, largest
buffer first, each at the lowest gap.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

from mcunas.compiler.lifetime import Program
from mcunas.compiler.order import best_order
from mcunas.compiler.place import largest_first
from mcunas.compiler.plan import Plan
from mcunas.compiler.schedule import op_by_op
from mcunas.graph.ir import Graph


@dataclass(frozen=True, eq=False)
class Stage:
    """what: the stage in a few words. plan: the arena there."""

    what: str
    plan: Plan


def stages(given: Graph, final: Plan, isa: str) -> list[Stage]:
    """given: the graph before the passes; final: the plan for a core with `isa`, of the graph after them."""
    program, before = final.program, Program.of(given, isa)
    order = best_order(program)
    return [Stage("as given", _apart(before, tuple(range(len(given.ops))))),
            Stage("after the passes", _apart(program, tuple(range(len(program.graph.ops))))),
            Stage("in the best order", _apart(program, order)),
            Stage("outputs over inputs", Plan.of(op_by_op(program, order))),
            Stage("row by row", final)]


def _apart(program: Program, order: tuple[int, ...]) -> Plan:
    """No two tensors that live at the same time share a byte."""
    schedule = op_by_op(program, order)
    schedule = replace(schedule, steps=tuple(replace(step, overlaps={}) for step in schedule.steps))
    return Plan(schedule, *largest_first(schedule.buffers))
