# SPDX-License-Identifier: Apache-2.0
"""The arena at each stage of compilation: what passes, order, sharing, streams and strips each take away from it.

Up to the best order, ops run one by one as an interpreter does it that gives every tensor bytes of its own: largest
buffer first, each at the lowest gap.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

from mcunas.compiler.lifetime import Program
from mcunas.compiler.order import best_order
from mcunas.compiler.passes import changes
from mcunas.compiler.place import largest_first
from mcunas.compiler.plan import Plan
from mcunas.compiler.schedule import Schedule, op_by_op
from mcunas.graph.ir import Graph


@dataclass(frozen=True, eq=False)
class Stage:
    """what: the stage in a few words. plan: the arena there."""

    what: str
    plan: Plan


def stages(given: Graph, final: Plan, isa: str, whole: Schedule | None = None) -> list[Stage]:
    """given: the graph before the passes; final: the plan for a core with `isa`, of the graph after them.

    whole: the schedule without strips, where `final` has some.

    One stage per pass that changed the picture: a pass that leaves it as it is shares the stage before.
    """
    found = [Stage("as given", _apart(Program.of(given, isa)))]
    for name, _, graph in changes(given):
        after = Stage(f"after {name}", _apart(Program.of(graph, isa)))
        last = found[-1]
        if _picture(after.plan) == _picture(last.plan):
            found[-1] = Stage(f"{last.what}, {name}", last.plan)
        else:
            found.append(after)
    program = whole.program if whole else final.program
    order = best_order(program)
    found += [Stage("parts in their wholes", _apart(program))] if program.parts else []
    found += [Stage("in the best order", _apart(program, order)),
              Stage("outputs over inputs", Plan.of(op_by_op(program, order)))]
    return [*found, *([Stage("row by row", Plan.of(whole)), Stage("in strips", final)] if whole
                      else [Stage("row by row", final)])]


def _apart(program: Program, order: tuple[int, ...] | None = None) -> Plan:
    """No two tensors that live at the same time share a byte. order: by default as given."""
    schedule = op_by_op(program, order or tuple(range(len(program.graph.ops))))
    schedule = replace(schedule, steps=tuple(replace(step, overlaps={}) for step in schedule.steps))
    return Plan(schedule, *largest_first(schedule.buffers))


def _picture(plan: Plan) -> tuple[object, ...]:
    """What a drawing of the arena shows."""
    return len(plan.order), plan.buffer_offsets, tuple((b.size_bytes, b.first, b.last) for b in plan.buffers)
