# SPDX-License-Identifier: Apache-2.0
"""A model at a glance: its layers, and what it takes of each board, by the compiler's own plan and no build."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mcunas.board import Board
from mcunas.compiler.compile import memories
from mcunas.compiler.features import FEATURES, op_features
from mcunas.compiler.rewriting import rewritten
from mcunas.cost.estimate import Priced, flash, shapes_of, work
from mcunas.errors import InputError
from mcunas.graph.ir import Graph, Tensor
from mcunas.graph.spec import KINDS

_MACS = FEATURES.index("macs")


@dataclass(frozen=True)
class Layer:
    """One op as the model has it, before the compiler's passes. output: its first; weights: its first constant operand, None
    where there is none; constant_bytes: of all of them but the shapes and axes.
    """

    kind: str
    output: Tensor
    weights: Tensor | None
    constant_bytes: int
    macs: int


@dataclass(frozen=True)
class Fit:
    """RAM is the arena, exact; flash the model's share, from measured code sizes; cycles a model, None where the core's
    table lacks a kernel. *_limit_bytes: what the board has for a model.
    """

    board: str
    ram_bytes: int
    ram_limit_bytes: int
    flash_bytes: int
    flash_limit_bytes: int
    cycles: int | None
    latency_us: float | None

    @property
    def fits(self) -> bool:
        return self.ram_bytes <= self.ram_limit_bytes and self.flash_bytes <= self.flash_limit_bytes


def layers(graph: Graph) -> Iterator[Layer]:
    """graph: int8 or float32."""
    for op in graph.ops:
        operands = [graph.tensors[t] for i, t in enumerate(op.inputs) if t >= 0 and graph.tensors[t].is_const
                    and (i not in KINDS[op.kind].const or graph.tensors[t].quant or graph.tensors[t].dtype == "float32")]
        output = graph.tensors[op.outputs[0]]
        macs = op_features(op.kind, op.attrs, shapes_of(graph, op), output.shape)[_MACS]
        yield Layer(op.kind, output, operands[0] if operands else None, sum(t.size_bytes for t in operands), macs)


def fits(graph: Graph, boards: Sequence[Board], goal: str = "balanced") -> list[Fit]:
    """What `graph` (int8, verified) takes of each board, whether that has it or not.

    Boards of one core take the same plan where it fits the RAM of each: the compiler chooses among what fits.
    """
    known: dict[tuple[str, str], tuple[Graph, Priced]] = {}
    found: dict[str, Fit] = {}
    for board in sorted(boards, key=lambda b: -b.ram_bytes):
        core = board.isa, board.cost_table
        if core not in known:
            changed = rewritten(graph, board, goal).graph
            known[core] = changed, Priced.of(changed, board, goal)
        changed, priced = known[core]
        if memories(board) or priced.memories or priced.ram_bytes > board.ram_bytes:
            priced = Priced.of(changed, board, goal)
        found[board.key] = _fit(priced, board, goal)
    return [found[board.key] for board in boards]


def _fit(priced: Priced, board: Board, goal: str) -> Fit:
    cycles: float | None
    try:
        cycles = work(priced.schedule, board)[1]
    except InputError:          # a kernel without a price: RAM and flash are known all the same
        cycles = None
    return Fit(board.key, priced.ram_bytes, board.ram_bytes, flash(priced.schedule, board, goal)[0], board.flash_bytes,
               None if cycles is None else round(cycles), None if cycles is None else cycles / board.clock_hz * 1e6)
