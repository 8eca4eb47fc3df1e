# SPDX-License-Identifier: Apache-2.0
"""Plans that no planner would make: the ops cut into steps at random, streams wherever the dice say so."""
from __future__ import annotations

import random

from mcunas.compiler.compile import Compiled
from mcunas.compiler.emit import emit_header, emit_source
from mcunas.compiler.joining import joinable, joined
from mcunas.compiler.lifetime import Program
from mcunas.compiler.place import place
from mcunas.compiler.plan import Plan
from mcunas.compiler.schedule import Cutter, Schedule
from mcunas.graph import Graph


def randomly_cut(graph: Graph, seed: int, isa: str = "scalar") -> Compiled:
    """`graph` with its ops in the given order, cut at random into single ops and streams; concatenations copy nothing
    where they can, whatever that does to RAM."""
    program, rng, steps, at = Program.of(graph, isa), random.Random(seed), [], 0
    program = joined(program, joinable(program)) or program
    cutter = Cutter(program, tuple(range(len(graph.ops))))
    while at < len(graph.ops):
        ends = [end for end in range(at + 1, len(graph.ops) + 1) if cutter.segment(at, end) is not None]
        end = ends[-1] if rng.random() < 0.5 else rng.choice(ends)
        steps.append(cutter.segment(at, end))
        at = end
    schedule = Schedule(program, tuple(steps))
    arena_bytes, offsets = place(schedule.buffers, schedule.bound_bytes, schedule.distances())
    plan = Plan(schedule, arena_bytes, tuple(offsets))
    return Compiled(graph, "model", emit_source(graph, plan, "model"), emit_header(graph, plan, "model"), {}, (), plan,
                    "ram")
