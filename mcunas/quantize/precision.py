# SPDX-License-Identifier: Apache-2.0
"""Which layers get int4 weights: the least loss for which the model fits into its flash (pruning-methods.md section 4).

A layer's tables have a size for each number of bits, so the choice is a knapsack; a kernel's code is paid once however
many layers use it, so every combination of kernels is a knapsack of its own. The compiler's exact size of the whole has
the last word: where it is more than the sum promised, the limit shrinks by as much.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from mcunas.board import Board
from mcunas.compiler.lower import lower
from mcunas.compiler.rewriting import rewritten
from mcunas.compiler.select import table_bytes
from mcunas.compiler.tables import CodeTable, code_table
from mcunas.cost.estimate import Priced, flash
from mcunas.errors import DoesNotFit
from mcunas.graph.ir import Graph
from mcunas.graph.nibbles import with_int4
from mcunas.prune.knapsack import solve

BITS = (8, 4)
_KINDS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_FEW = 6                    # layers: every choice of bits is priced exactly
_TURNS = 8                  # of shrinking the limit
_SLACK = 32                 # bytes that the sum may be too large by: members of structs, words that are filled up


@dataclass(frozen=True)
class Layer:
    """A layer that may have either; bytes and kernels: by bits, of its tables and of the calls that compute it."""

    path: str
    op_index: int
    kind: str
    table_bytes: Mapping[int, int]
    kernels: Mapping[int, frozenset[str]]


def layers_of(graph: Graph, board: Board, path_of: Mapping[str, str]) -> tuple[Layer, ...]:
    """Of an int8 Graph. path_of: name of a weight tensor -> module path."""
    found = []
    for i, op in enumerate(graph.ops):
        weights = graph.tensors[op.inputs[1]] if op.kind in _KINDS else None
        if weights is None or weights.name not in path_of or _has_groups(graph, i):
            continue
        calls = {bits: lower(g, g.ops[i], board.isa) for bits, g in ((8, graph), (4, with_int4(graph, [i])))}
        found.append(Layer(path_of[weights.name], i, op.kind, {b: table_bytes(c) for b, c in calls.items()},
                           {b: frozenset(call.kernel for call in c) for b, c in calls.items()}))
    return tuple(found)


def _has_groups(graph: Graph, op_index: int) -> bool:
    op = graph.ops[op_index]
    return op.kind == "CONV_2D" and graph.tensors[op.inputs[1]].shape[3] != graph.tensors[op.inputs[0]].shape[3]


def flash_of(graph: Graph, board: Board, layers: Sequence[Layer], bits: Mapping[str, int]) -> int:
    """Exact bytes of the model with these bits (paths not named: 8)."""
    return flash_bytes_of(with_int4(graph, [layer.op_index for layer in layers if bits.get(layer.path, 8) == 4]), board)


def flash_bytes_of(graph: Graph, board: Board) -> int:
    """Exact bytes of a model."""
    return flash(Priced.of(rewritten(graph, board, "balanced").graph, board).schedule, board)[0]


def allocate(graph: Graph, board: Board, layers: Sequence[Layer], loss: Sequence[float], flash_bytes: int) -> dict[str, int]:
    """path -> bits with the least summed loss of the layers at int4 whose exact flash is within flash_bytes.

    loss: per layer, what int4 costs it; below zero counts as next to nothing. Raises DoesNotFit.
    """
    exact = flash_of(graph, board, layers, {})
    if exact <= flash_bytes:
        return {layer.path: 8 for layer in layers}
    floor = 1e-9 * (max(loss, default=0.0) or 1.0)
    prices = [max(value, floor) for value in loss]
    if len(layers) <= _FEW:
        fitting = [bits for chosen in product((8, 4), repeat=len(layers))
                   if flash_of(graph, board, layers, bits := {k.path: b for k, b in zip(layers, chosen)}) <= flash_bytes]
        if fitting:
            return min(fitting, key=lambda bits: sum(p for p, k in zip(prices, layers) if bits[k.path] == 4))
    table = code_table(board)
    fixed = exact - sum(layer.table_bytes[8] for layer in layers) - table.linked(_kernels(layers, {}))
    limit = flash_bytes + _SLACK
    for _ in range(_TURNS):
        bits = _cheapest(layers, prices, limit - fixed, table)
        if bits is None:
            break
        excess = flash_of(graph, board, layers, bits) - flash_bytes
        if excess <= 0:
            return _with_what_is_left(graph, board, layers, prices, bits, flash_bytes)
        tables = sum(layer.table_bytes[bits[layer.path]] for layer in layers)
        limit = min(limit - excess, fixed + tables + table.linked(_kernels(layers, bits)) - 1)
    all_int4 = {layer.path: 4 for layer in layers}
    least = flash_of(graph, board, layers, all_int4)
    if least <= flash_bytes:
        return _with_what_is_left(graph, board, layers, prices, all_int4, flash_bytes)
    raise DoesNotFit(f"the weights do not fit into {flash_bytes:,} bytes of flash: with all of them int4 the model takes "
                     f"{least:,}", board.key, "give it more flash, or prune it further first")


def _with_what_is_left(graph: Graph, board: Board, layers: Sequence[Layer], prices: Sequence[float], bits: dict[str, int],
                       flash_bytes: int) -> dict[str, int]:
    """The same, and int8 again wherever the exact size has room for it, the dearest layers first."""
    for k in np.argsort(prices)[::-1]:
        layer = layers[k]
        tried = bits | {layer.path: 8}
        if bits[layer.path] == 4 and flash_of(graph, board, layers, tried) <= flash_bytes:
            bits = tried
    return bits


def _kernels(layers: Sequence[Layer], bits: Mapping[str, int]) -> frozenset[str]:
    return frozenset().union(*(layer.kernels[bits.get(layer.path, 8)] for layer in layers))


def _cheapest(layers: Sequence[Layer], prices: Sequence[float], limit_bytes: int, table: CodeTable) -> dict[str, int] | None:
    """For tables and kernels of at most limit_bytes, over what the kinds of layers may choose from; None: nothing fits."""
    kinds = list(dict.fromkeys(layer.kind for layer in layers))
    best: tuple[float, dict[str, int]] | None = None
    for allowed in product(((8,), (4,), BITS), repeat=len(kinds)):
        options = [dict(zip(kinds, allowed))[layer.kind] for layer in layers]
        used = frozenset().union(*(layer.kernels[b] for layer, found in zip(layers, options) for b in found))
        room = limit_bytes - table.linked(used)
        if room <= 0:
            continue
        value = [np.array([-price if b == 4 else 0.0 for b in found]) for price, found in zip(prices, options)]
        cost = [np.array([[layer.table_bytes[b] / room] for b in found]) for layer, found in zip(layers, options)]
        chosen = solve(value, cost, np.ones(1))
        if chosen is None:
            continue
        bits = {layer.path: found[k] for layer, found, k in zip(layers, options, chosen)}
        total = sum(price for layer, price in zip(layers, prices) if bits[layer.path] == 4)
        if best is None or total < best[0]:
            best = total, bits
    return None if best is None else best[1]
