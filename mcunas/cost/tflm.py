# SPDX-License-Identifier: Apache-2.0
"""The same Graph in TensorFlow Lite Micro with CMSIS-NN: what the peer would take of the board, without building it.

RAM: the arena (cost/tflm_arena.py). Flash: the .tflite file and the interpreter with the kernels the model needs, as
linked for a Cortex-M4 at -O3. Cycles: prices fitted to measured boards of the core (cost/tflm_cycles.py).
"""
from __future__ import annotations

from typing import TYPE_CHECKING

from mcunas.compiler.compile import weight_bytes
from mcunas.cost.energy import power_of
from mcunas.cost.estimate import Cost
from mcunas.cost.tflm_arena import tflm_arena
from mcunas.cost.tflm_cycles import TERMS, graph_terms, tflm_engine
from mcunas.graph.ir import Graph
from mcunas.graph.tflite_writer import write_tflite

if TYPE_CHECKING:
    from mcunas.board import Board

# Linked bytes beyond the model file of the MLPerf Tiny models, tflite-micro 90b983c2, int8 kernels only, -O3.
INTERPRETER_BYTES, CONVOLUTION_BYTES = 32_388, 28_248
_MACS = ("macs", "tail", "point_macs", "depthwise_macs", "dense_macs")


def estimate_tflm(graph: Graph, board: Board) -> Cost:
    """The cost of `graph` (int8, verified) under TFLite Micro on `board`. Cycles, latency and energy are None where no
    board of the core has been measured; `source` says so."""
    arena = tflm_arena(graph, board.isa)
    convolves = any(op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D") for op in graph.ops)
    code = INTERPRETER_BYTES + CONVOLUTION_BYTES * convolves
    work = dict(zip(TERMS, graph_terms(graph)))
    found = tflm_engine(board)
    cycles = found[0].price(graph) if found else None
    cost = Cost(arena.total_bytes, len(write_tflite(graph)) + code, weight_bytes(graph), code,
                round(sum(work[term] for term in _MACS)), None, None if cycles is None else round(cycles),
                None if cycles is None else cycles / board.clock_hz * 1e6, (),
                found[1] if found else f"no measurement of TFLite Micro on {board.cpu}")
    return cost.with_energy(power_of(board))
