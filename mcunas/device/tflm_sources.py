# SPDX-License-Identifier: Apache-2.0
"""What is generated around a model for TensorFlow Lite Micro: sources that a build compiles with firmware/ and TFLM's
headers, and their manifest. Neither compiler nor library is needed for them.
"""
from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mcunas.board import Board
from mcunas.compiler import weight_bytes
from mcunas.cost.overview import layers
from mcunas.cost.tflm_arena import ALIGN_BYTES, tflm_arena
from mcunas.device.layout import board_h, linker_script
from mcunas.device.tflm_engine import engine_cc, model_c
from mcunas.errors import DoesNotFit
from mcunas.graph import Graph

if TYPE_CHECKING:
    from mcunas.tasks.detection.decode import DetectionHead

# Setting up took up to 450 bytes more than the arena holds in the end, of the MLPerf Tiny models on a Cortex-M4.
_SET_UP_BYTES = 1024


def sources(graph: Graph, data: bytes, board: Board, arena_bytes: int, ram_bytes: int | None = None,
            flash_bytes: int | None = None, decodes: bool = False) -> dict[str, str]:
    """File -> text. data: the .tflite. ram_bytes, flash_bytes: budgets that the linker enforces; default: the board's.

    Raises InputError (an operator that TFLM's resolver has no method for).
    """
    home = next((k for k, room in enumerate(board.arenas.values()) if arena_bytes <= room), 0)
    budgets = ram_bytes or board.ram_bytes, flash_bytes or board.flash_bytes
    return {"model.c": model_c(data), "board.h": board_h(board, decodes), "engine.cc": engine_cc(graph, arena_bytes),
            "link.ld": linker_script(board, *budgets, home)}


def manifest_of(graph: Graph, arena_bytes: int, used_bytes: int, ram_bytes: int, flash_bytes: int,
                decoder: DetectionHead | None = None) -> dict[str, Any]:
    """used_bytes: of the arena once TFLM is set up. ram_bytes, flash_bytes: budgets."""
    return {"model": graph.name, "engine": "tflm", "optimize": "tflm", "arena_bytes": arena_bytes,
            "arena_used_bytes": used_bytes, "arena_limit_bytes": ram_bytes, "flash_limit_bytes": flash_bytes,
            "weight_bytes": weight_bytes(graph), "layers": _layers(graph), "inputs": _tensors(graph, graph.inputs),
            "outputs": _tensors(graph, graph.outputs), **({"decoder": asdict(decoder)} if decoder else {})}


def compile_tflm(graph: Graph, data: bytes, board: Board, ram_bytes: int | None = None
                 ) -> tuple[dict[str, str], dict[str, Any]]:
    """(sources, manifest) with an arena of the predicted size, and room to set up in. ram_bytes: limit of the arena.

    Raises InputError; DoesNotFit where the arena is predicted to be larger.
    """
    limit, used_bytes = ram_bytes or board.ram_bytes, tflm_arena(graph, board.isa).total_bytes
    if used_bytes > limit:
        raise DoesNotFit(f"the model does not fit: TFLM's arena is predicted to take {used_bytes} bytes, the RAM budget is "
                         f"{limit}", board.key, "use a smaller model or a larger board")
    arena_bytes = min(used_bytes + _SET_UP_BYTES, limit) // ALIGN_BYTES * ALIGN_BYTES
    manifest = manifest_of(graph, arena_bytes, used_bytes, limit, board.flash_bytes)
    return sources(graph, data, board, arena_bytes, limit), manifest | {"arena_source": "predicted, not tried in TFLM"}


def _tensors(graph: Graph, indices: tuple[int, ...]) -> list[dict[str, Any]]:
    found = []
    for t in (graph.tensors[i] for i in indices):
        scale, zero = (t.quant.scale[0], t.quant.zero_point[0]) if t.quant else (1.0, 0)
        found.append({"name": t.name, "shape": list(t.shape), "dtype": t.dtype, "bytes": t.size_bytes,
                      "scale": float(scale), "zero_point": int(zero)})
    return found


def _layers(graph: Graph) -> list[dict[str, Any]]:
    """The operators, a step each."""
    return [{"index": index, "step": index, "kind": op.kind, "name": graph.tensors[op.outputs[0]].name,
             "output": list(graph.tensors[op.outputs[0]].shape), "macs": layer.macs, "weights_bytes": layer.constant_bytes,
             "bias_bytes": 0} for index, (op, layer) in enumerate(zip(graph.ops, layers(graph), strict=True))]
