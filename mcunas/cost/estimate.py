# SPDX-License-Identifier: Apache-2.0
"""Cost of an int8 Graph on a Board: RAM exactly as compiled, flash from measured code sizes, cycles from a fitted model.

This is the independent checker of every method (pruning-methods.md section 11): it looks at the deployed Graph, never
at the training network.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from mcunas.compiler.choice import Choice, fingerprint
from mcunas.compiler.compile import memories, schedules, weight_bytes
from mcunas.compiler.features import FEATURES, call_features
from mcunas.compiler.lifetime import Program, aligned
from mcunas.compiler.lower import KernelCall, Table
from mcunas.compiler.plan import Plan
from mcunas.compiler.rewriting import rewritten
from mcunas.compiler.schedule import Schedule, preferred
from mcunas.compiler.stream import Stream
from mcunas.compiler.tables import InstructionTable, code_table, instruction_table
from mcunas.cost.energy import Power, power_of
from mcunas.errors import InputError
from mcunas.graph.ir import Graph, Op

if TYPE_CHECKING:
    from mcunas.board import Board

    # (instructions, cycles) of a Graph of one op by a kernel's name, for kernels that the core's table does not know
    Simulator = Callable[[Graph, Board, str], tuple[int, int]]


@dataclass(frozen=True)
class Cost:
    """ram_bytes: the arena, exact. flash_bytes: the model's share: tables, parameters and code, of which weight_bytes are
    weights and biases and code_bytes is code. instructions, cycles, latency_us: a model; `source` says which.
    image_bytes: flash with the firmware around the model, None where that has not been measured. energy_uj: an estimate,
    None where the board's power is not known.

    live_bytes_per_op: aligned bytes live while each op of the Graph runs (op order, not schedule order).
    """

    ram_bytes: int
    flash_bytes: int
    weight_bytes: int
    code_bytes: int
    macs: int
    instructions: int | None
    cycles: int | None
    latency_us: float | None
    live_bytes_per_op: tuple[int, ...]
    source: str
    image_bytes: int | None = None
    energy_uj: float | None = None
    energy_source: str = ""

    def with_energy(self, power: Power | None) -> Cost:
        if power is None or self.latency_us is None:
            return self
        return replace(self, energy_uj=power.energy_uj(self.latency_us), energy_source=power.label)


@dataclass(frozen=True, eq=False)
class Priced:
    """A Graph's schedule; `ram_bytes` places its buffers when first asked. memories: see Plan.within."""

    schedule: Schedule
    memories: tuple[int, ...] = ()

    @staticmethod
    def of(graph: Graph, board: Board, goal: str = "balanced", ram_bytes: int | None = None,
           choice: Choice | None = None) -> Priced:
        """As the compiler plans it for a goal and a limit of the arena (default: what the board has)."""
        limit_bytes = min(ram_bytes or board.ram_bytes, board.ram_bytes)
        if choice is not None:
            found = preferred(Program.of(graph, board.isa, choice.variants), goal, limit_bytes)
        else:
            found = schedules(graph, board, goal, limit_bytes).schedules
        return Priced(found[0], memories(board))

    @property
    def program(self) -> Program:
        return self.schedule.program

    @property
    def order(self) -> tuple[int, ...]:
        return self.schedule.order

    @cached_property
    def live_bytes_per_op(self) -> tuple[int, ...]:
        """Aligned bytes live while each op of the Graph runs (op order, not schedule order)."""
        step_of = self.schedule.step_of
        return tuple(self.schedule.steps[step_of[op]].live_bytes for op in range(len(step_of)))

    @property
    def bound_bytes(self) -> int:
        """No placement needs less."""
        return self.schedule.bound_bytes

    @cached_property
    def ram_bytes(self) -> int:
        return Plan.within([self.schedule], None, self.memories).arena_bytes


def tables(call: KernelCall, counted: set[int] | None = None) -> dict[str, int]:
    """Bytes of a call's constant arrays by role; without the `counted` ones (their ids), to which it adds its own."""
    counted = set() if counted is None else counted
    sizes = {"weights": 0, "bias": 0, "requant": 0, "table": 0}
    for value in call.params.values():
        if isinstance(value, Table) and id(value.data) not in counted:
            sizes[value.role] += value.data.nbytes
            counted.add(id(value.data))
    return sizes


def constant_bytes(schedule: Schedule) -> int:
    """Constant arrays of the generated code in flash: the kernels' tables, and the rows that each tick of a stream does."""
    program, counted = schedule.program, set[int]()
    total = sum(aligned(size) for i in program.with_own_tables for call in program.calls[i]
                for size in tables(call, counted).values())
    for step in schedule.steps:
        total += stream_table_bytes(step.stream) if step.stream else 0
    return total


def stream_table_bytes(stream: Stream) -> int:
    item_bytes = 1 if max(map(max, stream.upwards)) < 256 else 2
    return aligned(len(stream.upwards) * len(stream.ops) * item_bytes)


def flash(schedule: Schedule, board: Board, goal: str = "balanced") -> tuple[int, int, int]:
    """(all, weights and biases as the Graph holds them, code) in bytes, without the firmware's own share.

    Goals `ram` and `flash` are linked as a whole program: kernels take constants for parameters and share functions, so
    their sizes do not add up as those of the other goals do. On Cortex-M4 and M0+, images of the MLPerf Tiny models are
    predicted within 0.3 % for `cycles` and 2.2 % for these two; one of 13 kB, most of it code, was 3.5 % off.
    """
    prices = code_table(board, goal)
    calls = [call for op in schedule.program.calls for call in op]
    data = constant_bytes(schedule) + sum(prices.params(c.kernel) for c in calls)
    code = prices.linked({c.kernel for c in calls}) + prices.call_bytes * len(calls)
    stages = [len(step.ops) for step in schedule.steps if step.stream]
    code += prices.stream_bytes * len(stages) + prices.stage_bytes * sum(stages)
    return data + code, weight_bytes(schedule.program.graph), code


class Work(NamedTuple):
    """(instructions, cycles) of an op's calls, and of one call more."""

    whole: tuple[float, float]
    per_call: tuple[float, float]

    def twice(self) -> Work:
        return Work((2 * self.whole[0], 2 * self.whole[1]), (2 * self.per_call[0], 2 * self.per_call[1]))


def op_work(op: Op, shapes: Sequence[tuple[int, ...]], out: tuple[int, ...], calls: Sequence[KernelCall],
            table: InstructionTable) -> Work:
    """By the core's table. shapes: of the inputs."""
    if not calls:
        return Work((0.0, 0.0), (0.0, 0.0))
    kernel, call = calls[0].kernel, FEATURES.index("calls")
    return Work(table.work(kernel, call_features(op, shapes, out, calls)),
                (table.of(kernel)[call], table.cycles_of(kernel)[call]))


def layer_work(graph: Graph, op_index: int, calls: Sequence[KernelCall], board: Board, table: InstructionTable,
               simulator: Simulator | None = None) -> Work:
    """Of one op of a Graph: by the core's table, or as simulated where that does not know the kernel; never zero for it.

    Raises InputError for such a kernel where there is no simulator.
    """
    op = graph.ops[op_index]
    priced = op_work(op, shapes_of(graph, op), graph.tensors[op.outputs[0]].shape, calls, table)
    if calls and graph.tensors[op.outputs[0]].dtype == "int16" and calls[0].kernel.endswith("_s8") and not calls[0].moves:
        priced = priced.twice()             # kernels that move bytes, two for a value
    if not calls or calls[0].kernel in table.per_unit:
        return priced
    if simulator is None:
        raise InputError(f"no price for the kernel {calls[0].kernel}", f"{op.kind} on {board.key}",
                         "add it to boards/cost/instructions-*.toml")
    return priced._replace(whole=simulator(graph.alone(op_index), board, calls[0].kernel))


def layer_cycles(program: Program, board: Board) -> list[float | None]:
    """Of every op's calls, one each, by the core's table; None where there is none, or it lacks the kernel."""
    def of(index: int) -> float | None:
        try:
            return layer_work(program.graph, index, program.calls[index], board, instruction_table(board)).whole[1]
        except InputError:
            return None

    return [of(index) for index in range(len(program.calls))]


def remembering(simulator: Simulator) -> Simulator:
    """A simulator that is asked once for each layer: it builds firmware, and networks that are alike share layers."""
    known: dict[tuple[str, str, str], tuple[int, int]] = {}

    def simulated(layer: Graph, board: Board, kernel: str) -> tuple[int, int]:
        key = fingerprint(layer), board.key, kernel
        if key not in known:
            known[key] = simulator(layer, board, kernel)
        return known[key]

    return simulated


def work(schedule: Schedule, board: Board, simulator: Simulator | None = None) -> tuple[float, float]:
    """(instructions, cycles) of one inference by the core's table."""
    program, table = schedule.program, instruction_table(board)
    found = [layer_work(program.graph, i, calls, board, table, simulator) for i, calls in enumerate(program.calls)]
    extras = [extra for step in schedule.steps if step.stream for extra in stream_extras(program, step.stream)]
    turned = sum(rows * program.calls[op][0].rows.inputs[p].turn_work for op, _, turns in extras for p, rows in turns)
    both = tuple(sum(w.whole[k] for w in found) + sum(calls * found[op].per_call[k] for op, calls, _ in extras)
                 + turned * (1.0, board.cycle_model.cycles_per_instruction)[k] for k in (0, 1))
    return both[0], both[1]


def shapes_of(graph: Graph, op: Op) -> list[tuple[int, ...]]:
    """Of an op's inputs; () for an absent one."""
    return [graph.tensors[t].shape if t >= 0 else () for t in op.inputs]


def stream_extras(program: Program, stream: Stream) -> list[tuple[int, int, list[tuple[int, int]]]]:
    """Per stage: (op, calls beyond one, (input, rows whose window crosses the end of its ring)); see RowInput.turn_work."""
    found = []
    for stage, op in enumerate(stream.ops):
        call, done = program.calls[op][0], [tick[stage] for tick in stream.upwards]
        turns = [(p, sum(max(0, y * how.stride - how.before) % stream.rings[t] + how.reach > stream.rings[t]
                         for y in range(call.rows.count)))
                 for p, (t, how) in enumerate(zip(call.inputs, call.rows.inputs)) if t in stream.rings]
        found.append((op, sum(later > earlier for earlier, later in zip(done, done[1:])) - 1, turns))
    return found


def estimate(graph: Graph, board: Board, rewrite: bool = True, goal: str = "balanced",
             ram_bytes: int | None = None, choice: Choice | None = None, simulator: Simulator | None = None) -> Cost:
    """The cost of `graph` (int8, verified) on `board`, after the compiler's passes unless `rewrite` is off.

    goal, ram_bytes, choice: as given to the compiler. simulator: see `layer_work`; mcunas.device.alone has it.
    Raises InputError when the board's cost tables are missing, or lack a kernel.
    """
    priced = Priced.of(rewritten(graph, board, goal, choice).graph if rewrite else graph, board, goal, ram_bytes, choice)
    flash_bytes, weights, code_bytes = flash(priced.schedule, board, goal)
    (count, cycles), table = work(priced.schedule, board, simulator), instruction_table(board)
    source = (f"{table.source}; cycles: model (±{board.cycle_model.error_percent:g} % instruction timings of "
              f"{board.cycle_model.core}; held-out layers {table.cycles_error[0]:.1f} % median, 9 in 10 within "
              f"{table.cycles_error[1]:.1f} %)")
    firmware_bytes = code_table(board, goal).firmware_bytes.get(board.key)
    return Cost(priced.ram_bytes, flash_bytes, weights, code_bytes,
                sum(c.macs for calls in priced.program.calls for c in calls), round(count), round(cycles),
                cycles / board.clock_hz * 1e6, priced.live_bytes_per_op, source,
                flash_bytes + firmware_bytes if firmware_bytes else None).with_energy(power_of(board))
