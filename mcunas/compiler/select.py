# SPDX-License-Identifier: Apache-2.0
"""The selector: which variant of its kernels each op takes, by price, under the goal of the compilation.

cycles, balanced: the fewest cycles by the core's table, or as measured; variants that spend flash for speed only in
`cycles`, best gain per byte first, as far as the board's flash goes. flash: the fewest bytes of code and tables
together; ram: the least peak, then the fewest bytes; neither takes more than SLOWEST times the fastest's cycles. Code is
paid once however many layers share a kernel, so for these two all ops of a kind go together. On a core without tables
every op takes its best usual variant for speed, and the one with the smallest tables for size.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from math import inf
from typing import TYPE_CHECKING

from mcunas.compiler.features import call_features
from mcunas.compiler.lower import ISAS, ROOMY, KernelCall, Table, candidates
from mcunas.compiler.tables import (
    InstructionTable,
    code_table,
    has_code_table,
    has_instruction_table,
    instruction_table,
)
from mcunas.graph.ir import Graph, Op

if TYPE_CHECKING:
    from mcunas.board import Board

SLOWEST = 7.0                   # portable kernels on a core with vectors take twenty times the cycles, to save little
_MOST_COMBINATIONS = 64         # of variants per kind whose peaks are looked at one by one
Ways = dict[str, list[KernelCall]]


def select(graph: Graph, board: Board, optimize: str, peak_bytes: Callable[[Mapping[int, str]], int] | None,
           measured: Mapping[tuple[int, str], int] | None = None, flash_budget_bytes: int | None = None) -> dict[int, str]:
    """op index -> variant, of the ops that have a choice.

    peak_bytes: the least peak of RAM under a choice; None for other goals than `ram`. measured: cycles of (op index,
    variant), where known.
    flash_budget_bytes: what the model may use, by default all that the board has for it.
    """
    every = dict(enumerate(candidates(graph, op, board.isa) for op in graph.ops))
    ways = {i: found for i, found in every.items() if len(found) > 1}
    if optimize in ("ram", "flash"):
        return _smallest(graph, ways, board, peak_bytes if optimize == "ram" else None)
    choice = fastest(graph, ways, board, measured or {})
    if optimize == "cycles":
        spare = min(flash_budget_bytes or board.flash_bytes, board.flash_bytes)
        _spend(graph, every, board, measured or {}, choice, spare)
    return choice


def table_bytes(calls: list[KernelCall]) -> int:
    """Flash of the constant arrays of an op's calls."""
    return sum(v.data.nbytes for call in calls for v in call.params.values() if isinstance(v, Table))


def fastest(graph: Graph, ways: Mapping[int, Ways], board: Board, measured: Mapping[tuple[int, str], int]) -> dict[int, str]:
    """Per op the fewest cycles among the variants that spend no flash for speed."""
    table, choice = _table(board), {}
    for i, found in ways.items():
        usual = [variant for variant in found if variant not in ROOMY.get(board.isa, ())]
        price = {variant: _price(graph, i, variant, found[variant], table, measured) for variant in usual}
        choice[i] = min(usual, key=lambda v: price[v] * _doubt((i, v) in measured, v == usual[0], table))
        if price[usual[0]] == inf:      # nothing to compare with
            choice[i] = usual[0]
    return choice


def least_cycles(graph: Graph, board: Board) -> float:
    """Of one inference, every op by its fastest variant that spends no flash for speed; inf where that is not known."""
    every = {i: found for i, op in enumerate(graph.ops) if (found := candidates(graph, op, board.isa))}
    choice, table = fastest(graph, every, board, {}), _table(board)
    return sum(_price(graph, i, choice[i], found[choice[i]], table, {}) for i, found in every.items())


def _spend(graph: Graph, every: Mapping[int, Ways], board: Board, measured: Mapping[tuple[int, str], int],
           choice: dict[int, str], spare_bytes: int) -> None:
    """Replace variants of `choice` by faster ones that take more flash, while the whole model stays within spare_bytes."""
    table, offers = _table(board), []
    for i, variant in choice.items():
        found = every[i]
        price = {v: _price(graph, i, v, calls, table, measured) for v, calls in found.items()}
        best = min(found, key=price.__getitem__)
        doubt = _doubt((i, best) in measured, False, table)
        if best in ROOMY.get(board.isa, ()) and price[best] * doubt < price[variant] < inf:
            bytes_more = table_bytes(found[best]) - table_bytes(found[variant])
            offers.append((bytes_more / (price[variant] - price[best]), i, best))
    offers.sort()
    calls_of = {i: found[choice[i]] if i in choice else next(iter(found.values())) for i, found in every.items()}

    def fits(taken: list[tuple[float, int, str]]) -> bool:
        return flash_bytes(calls_of | {i: every[i][variant] for _, i, variant in taken}, board, "cycles") <= spare_bytes

    # Layers that all leave a kernel no longer pay for its code: the most at once, then single ones.
    most = max((n for n in range(len(offers) + 1) if fits(offers[:n])), default=0)
    taken = offers[:most]
    for offer in offers[most:]:
        taken += [offer] if fits([*taken, offer]) else []
    choice.update((i, variant) for _, i, variant in taken)


def _table(board: Board) -> InstructionTable | None:
    return instruction_table(board) if has_instruction_table(board) else None


def _price(graph: Graph, op_index: int, variant: str, calls: list[KernelCall], table: InstructionTable | None,
           measured: Mapping[tuple[int, str], int]) -> float:
    """Cycles of one inference; inf where they are not known."""
    if (op_index, variant) in measured:
        return measured[op_index, variant]
    return inf if table is None else _cycles(graph, graph.ops[op_index], calls, table)


def _doubt(is_measured: bool, is_first: bool, table: InstructionTable | None) -> float:
    """A variant that is plainer, or takes more flash, must win by more than the table's own error."""
    return 1.0 if is_measured or is_first or table is None else 1.0 + 2 * table.cycles_error[0] / 100


def _cycles(graph: Graph, op: Op, calls: list[KernelCall], table: InstructionTable) -> float:
    """inf where the table does not know the kernel."""
    if any(call.kernel not in table.cycles_per_unit for call in calls):
        return inf
    if not calls:
        return 0.0
    shapes = [graph.tensors[t].shape if t >= 0 else () for t in op.inputs]
    found = call_features(op, shapes, graph.tensors[op.outputs[0]].shape, calls)
    return table.work(calls[0].kernel, found)[1]


def flash_bytes(calls_of: Mapping[int, list[KernelCall]], board: Board, goal: str) -> int:
    """Code of the distinct kernels, and tables, parameters and code of the calls; tables only on a core without prices.

    goal: whose level of optimization sizes the code."""
    calls = [call for found in calls_of.values() for call in found]
    if not has_code_table(board):
        return table_bytes(calls)
    prices, kernels = code_table(board, goal), {call.kernel for call in calls}
    return (prices.linked(kernels) + sum(prices.params(call.kernel) + prices.call_bytes for call in calls)
            + table_bytes(calls))


def _smallest(graph: Graph, ways: dict[int, Ways], board: Board,
              peak_bytes: Callable[[Mapping[int, str]], int] | None) -> dict[int, str]:
    """All ops of a kind take the same variant, or the next plainer one where they lack it."""
    plainer, kinds = ISAS[board.isa], {}
    for i, found in ways.items():
        names = kinds.setdefault(graph.ops[i].kind, [])
        names += [v for v in found if v not in names and v not in ROOMY.get(board.isa, ())]

    def of(picked: Mapping[str, str]) -> dict[int, str]:
        return {i: next(v for v in plainer[plainer.index(picked[graph.ops[i].kind]):] if v in found)
                for i, found in ways.items()}

    def cost(picked: Mapping[str, str]) -> tuple[int, int]:
        choice = of(picked)
        flash = flash_bytes({i: found[choice[i]] for i, found in ways.items()}, board, "flash")
        return (peak_bytes(choice) if peak_bytes else 0), flash

    table = _table(board)
    cycles = {(i, v): _price(graph, i, v, calls, table, {}) for i, found in ways.items() for v, calls in found.items()}
    fastest_cycles = sum(min(cycles[i, v] for v in found) for i, found in ways.items())

    def is_bearable(picked: Mapping[str, str]) -> bool:
        total = sum(cycles[i, variant] for i, variant in of(picked).items())
        return total == inf or total <= SLOWEST * fastest_cycles

    combinations = [picked for names in product(*kinds.values()) if is_bearable(picked := dict(zip(kinds, names)))]
    if peak_bytes and len(combinations) > _MOST_COMBINATIONS:
        ends = ({kind: names[end] for kind, names in kinds.items()} for end in (0, -1))
        best = min(filter(is_bearable, ends), key=cost)
        for kind, names in kinds.items():
            best = min(filter(is_bearable, ({**best, kind: name} for name in names)), key=cost)
        return of(best)
    return of(min(combinations, key=cost))
