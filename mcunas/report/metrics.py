# SPDX-License-Identifier: Apache-2.0
"""A deployed model's figures of merit in the three groups of Zhang et al., "Design Automation for Fast, Lightweight, and
Effective Deep Learning Models: A Survey" (arXiv 2208.10498): effectiveness, lightness, computation cost.

Each is a mapping {group, name, value (None = not known), unit, basis, definition}; basis says whether the value is exact, a
model's, or measured.
"""
from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any

from mcunas.tasks.units import unit_of

if TYPE_CHECKING:
    from mcunas.cost import Cost
    from mcunas.graph.ir import Graph

EFFECTIVENESS, LIGHTNESS, COMPUTATION = "effectiveness", "lightness", "computation cost"


def metrics(graph: Graph, model_bytes: int, cost: Cost, accuracy: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """graph: int8, as the file has it; model_bytes: of that file; cost: on a board; accuracy: a report's section;
    without it nothing is said about effectiveness."""
    return [*(_effectiveness(accuracy) if accuracy else ()), *_lightness(graph, model_bytes, cost), *_computation(cost)]


def _row(group: str, name: str, value: float | None, unit: str, basis: str, definition: str) -> dict[str, Any]:
    return {"group": group, "name": name, "value": value, "unit": unit, "basis": basis, "definition": definition}


def _effectiveness(accuracy: Mapping[str, Any]) -> list[dict[str, Any]]:
    name = accuracy["metric"]
    places = (("float", "float", "as trained, before quantization"), ("int8_host", "int8 on the host", "by tflite-micro"),
              ("int8_board", "int8 on the board", "by the firmware"))
    rows = [_row(EFFECTIVENESS, f"{name}, {where}", accuracy.get(key), unit_of(name), "measured",
                 f"{name} on test inputs, {how}") for key, where, how in places]
    others = {n: v for n, v in (accuracy.get("measures") or {}).items() if n != name}
    return rows + [_row(EFFECTIVENESS, n, v, unit_of(n), "measured", f"{n} on the board") for n, v in others.items()]


def _lightness(graph: Graph, model_bytes: int, cost: Cost) -> list[dict[str, Any]]:
    trained = {i for op in graph.ops for i in op.inputs if i >= 0 and graph.tensors[i].is_const and graph.tensors[i].quant}
    return [
        _row(LIGHTNESS, "parameters", sum(prod(graph.tensors[i].shape) for i in trained), "", "exact",
             "numbers in weights and biases, batch norms folded in"),
        _row(LIGHTNESS, "model file", model_bytes, "bytes", "exact", "the .tflite"),
        _row(LIGHTNESS, "weights", cost.weight_bytes, "bytes", "exact", "weights, biases and constants as stored"),
        _row(LIGHTNESS, "flash", cost.flash_bytes, "bytes", "predicted", "tables and code that the model brings"),
        _row(LIGHTNESS, "image", cost.image_bytes, "bytes", "predicted", "the whole firmware, where its own share is known"),
        _row(LIGHTNESS, "peak memory", cost.ram_bytes, "bytes", "exact", "the arena: all activations and scratch at once"),
    ]


def _computation(cost: Cost) -> list[dict[str, Any]]:
    return [
        _row(COMPUTATION, "MACs", cost.macs, "", "exact", "multiply-accumulates of one inference"),
        _row(COMPUTATION, "instructions", cost.instructions, "", "predicted", "of one inference, by the core's table"),
        _row(COMPUTATION, "cycles", cost.cycles, "", "model", cost.source),
        _row(COMPUTATION, "latency", cost.latency_us, "us", "model", "cycles over the board's clock"),
        _row(COMPUTATION, "energy", cost.energy_uj, "uJ", "estimate", cost.energy_source or "the power is not known"),
    ]
