# SPDX-License-Identifier: Apache-2.0
"""The same Graph in TensorFlow Lite Micro with CMSIS-NN: what the peer would take of the board, without building it.

RAM: the arena (cost/tflm_arena.py). Flash: the .tflite file and the interpreter with the kernels the model needs, as
linked for a Cortex-M4 at -O3. Cycles: prices fitted to measured boards of the core (cost/tflm_cycles.py), which ran int8:
on int16 activations TFLM has other kernels, for which nobody published a measurement, so that there are no cycles then.
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
# What these link more when as much as can be is on int16 activations, at -O2: a dense network, and with convolutions.
WIDE_BYTES, WIDE_CONVOLUTION_BYTES = 7_968, 24_816
_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_MACS = ("macs", "tail", "point_macs", "depthwise_macs", "dense_macs")


def estimate_tflm(graph: Graph, board: Board) -> Cost:
    """The cost of `graph` (verified) under TFLite Micro on `board`. Cycles, latency and energy are None where no board of
    the core has been measured, or an op is on int16 activations; `source` says so."""
    arena, wide = tflm_arena(graph, board.isa), _kinds_on_int16(graph)
    code = INTERPRETER_BYTES + CONVOLUTION_BYTES * any(op.kind in _CONVOLUTIONS for op in graph.ops)
    code += WIDE_BYTES * bool(wide) + WIDE_CONVOLUTION_BYTES * any(kind in _CONVOLUTIONS for kind in wide)
    work = dict(zip(TERMS, graph_terms(graph)))
    found = None if wide else tflm_engine(board)
    cycles = found[0].price(graph) if found else None
    unknown = (f"no price of TFLite Micro on int16 activations is known ({', '.join(wide)})" if wide else
               f"no measurement of TFLite Micro on {board.cpu}")
    cost = Cost(arena.total_bytes, len(write_tflite(graph)) + code, weight_bytes(graph), code,
                round(sum(work[term] for term in _MACS)), None, None if cycles is None else round(cycles),
                None if cycles is None else cycles / board.clock_hz * 1e6, (),
                found[1] if found else unknown)
    return cost.with_energy(power_of(board))


def _kinds_on_int16(graph: Graph) -> list[str]:
    return sorted({op.kind for op in graph.ops
                   if any(t >= 0 and graph.tensors[t].dtype == "int16" for t in (*op.inputs, *op.outputs))})
