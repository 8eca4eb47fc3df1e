# SPDX-License-Identifier: Apache-2.0
"""The selector: which variant of its kernels each op takes, by price, under the goal of the compilation.

cycles, balanced: the fewest instructions by the core's table, or as measured; variants that spend flash for speed only in
`cycles`, best gain per byte first, as far as the board's flash goes. flash: the fewest bytes of code and tables
together; ram: the least peak, then the fewest bytes. Code is paid once however many layers share a kernel, so for these
two all ops of a kind go together.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from math import inf
from typing import TYPE_CHECKING

from mcunas.compiler.features import op_features
from mcunas.compiler.lower import ROOMY, KernelCall, Table, candidates
from mcunas.compiler.tables import InstructionTable, code_table, instruction_table
from mcunas.graph.ir import Graph, Op

if TYPE_CHECKING:
    from mcunas.board import Board

_MOST_COMBINATIONS = 64         # of variants per kind whose peaks are looked at one by one
Ways = dict[str, list[KernelCall]]


def select(graph: Graph, board: Board, optimize: str, peak_bytes: Callable[[Mapping[int, str]], int],
           measured: Mapping[tuple[int, str], int] | None = None) -> dict[int, str]:
    """op index -> variant, of the ops that have a choice.

    peak_bytes: the least peak of RAM under a choice. measured: instructions of (op index, variant), where known.
    """
    ways = {i: found for i, op in enumerate(graph.ops) if len(found := candidates(graph, op, board.isa)) > 1}
    if optimize in ("ram", "flash"):
        return _smallest(graph, ways, board, peak_bytes if optimize == "ram" else None)
    return fastest(graph, ways, board, roomy=optimize == "cycles", measured=measured or {})


def table_bytes(calls: list[KernelCall]) -> int:
    """Flash of the constant arrays of an op's calls."""
    return sum(v.data.nbytes for call in calls for v in call.params.values() if isinstance(v, Table))


def fastest(graph: Graph, ways: dict[int, Ways], board: Board, roomy: bool,
             measured: Mapping[tuple[int, str], int]) -> dict[int, str]:
    table, spendthrift = instruction_table(board), ROOMY.get(board.isa, ())
    choice, offers = {}, []
    for i, found in ways.items():
        price = {variant: measured.get((i, variant), _instructions(graph, graph.ops[i], calls, table))
                 for variant, calls in found.items()}
        usual = [variant for variant in found if variant not in spendthrift]
        choice[i] = min(usual, key=lambda v: price[v] * _doubt((i, v) in measured, v == usual[0], table))
        if price[usual[0]] == inf:      # nothing to compare with
            choice[i] = usual[0]
        best = min(found, key=price.__getitem__)
        if roomy and best in spendthrift and price[best] < price[choice[i]] < inf:
            bytes_more = table_bytes(found[best]) - table_bytes(found[choice[i]])
            offers.append((bytes_more / (price[choice[i]] - price[best]), bytes_more, i, best))
    left = board.flash_bytes - flash_bytes({i: found[choice[i]] for i, found in ways.items()}, board)
    for _, bytes_more, i, variant in sorted(offers):
        if bytes_more <= left:
            choice[i], left = variant, left - bytes_more
    return choice


def _doubt(is_measured: bool, is_first: bool, table: InstructionTable) -> float:
    """A plainer variant must win by more than the table's own error."""
    return 1.0 if is_measured or is_first else 1.0 + 2 * table.error_percent / 100


def _instructions(graph: Graph, op: Op, calls: list[KernelCall], table: InstructionTable) -> float:
    """inf where the table does not know the kernel."""
    if any(call.kernel not in table.per_unit for call in calls):
        return inf
    shapes = [graph.tensors[t].shape if t >= 0 else () for t in op.inputs]
    found = op_features(op.kind, op.attrs, shapes, graph.tensors[op.outputs[0]].shape)
    return sum(p * f for p, f in zip(table.of(calls[0].kernel), found, strict=True)) if calls else 0.0


def flash_bytes(calls_of: Mapping[int, list[KernelCall]], board: Board) -> int:
    """Code of the distinct kernels, tables and parameters of these ops' calls."""
    prices = code_table(board)
    calls = [call for found in calls_of.values() for call in found]
    kernels = {call.kernel for call in calls}
    return (sum(prices.code(k) for k in kernels) + prices.libraries(kernels)
            + sum(prices.params(call.kernel) for call in calls) + table_bytes(calls))


def _smallest(graph: Graph, ways: dict[int, Ways], board: Board,
              peak_bytes: Callable[[Mapping[int, str]], int] | None) -> dict[int, str]:
    """All ops of a kind take the same variant, or the next plainer one where they lack it."""
    kinds: dict[str, list[str]] = {}
    for i, found in ways.items():
        names = kinds.setdefault(graph.ops[i].kind, [])
        names += [v for v in found if v not in names and v not in ROOMY.get(board.isa, ())]

    def of(picked: Mapping[str, str]) -> dict[int, str]:
        return {i: picked[kind] if picked[kind] in found else next(reversed(found))
                for i, found in ways.items() for kind in (graph.ops[i].kind,)}

    def cost(picked: Mapping[str, str]) -> tuple[int, int]:
        choice = of(picked)
        flash = flash_bytes({i: found[choice[i]] for i, found in ways.items()}, board)
        return (peak_bytes(choice) if peak_bytes else 0), flash

    combinations = [dict(zip(kinds, names)) for names in product(*kinds.values())]
    if peak_bytes and len(combinations) > _MOST_COMBINATIONS:
        best = min(({kind: names[end] for kind, names in kinds.items()} for end in (0, -1)), key=cost)
        for kind, names in kinds.items():
            best = min(({**best, kind: name} for name in names), key=cost)
        return of(best)
    return of(min(combinations, key=cost))
