# SPDX-License-Identifier: Apache-2.0
"""Sections of a report (see mcunas.report) from what the other rooms produce: boards, manifests, validations."""
from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcunas.board import Board
    from mcunas.budget import Budget

RESOURCES = (("ram_bytes", "RAM (arena)", "bytes"), ("flash_bytes", "Flash (model)", "bytes"),
             ("latency_us", "Latency", "us"))


def of_board(board: Board) -> dict[str, Any]:
    return {"key": board.key, "name": board.name, "cpu": board.cpu, "clock_hz": board.clock_hz}


def of_budget(budget: Budget) -> dict[str, Any]:
    return {"ram_bytes": budget.ram_bytes, "flash_bytes": budget.flash_bytes, "latency_us": budget.latency_us}


def of_manifest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The memory plan and the layers that the compiler decided on."""
    layers = manifest["layers"]
    steps = [""] * len(layers)
    for layer in layers:
        steps[layer["step"]] = f"{layer['index']} {layer['kind']}"
    tensors = [{"name": b["name"], "offset": b["offset"], "bytes": b["bytes"], "first": b["first"], "last": b["last"]}
               for b in manifest["plan"]]
    return {
        "plan": {"arena_bytes": manifest["arena_bytes"], "steps": steps, "tensors": tensors},
        "layers": [{"name": layer["name"], "kind": layer["kind"], "macs": layer["macs"],
                    "weight_bytes": layer["weights_bytes"] + layer["bias_bytes"]} for layer in layers],
    }


def quantities(budget: Mapping[str, Any], predicted: Mapping[str, Any], measured: Mapping[str, Any],
               start: Mapping[str, Any] | None = None, source: str = "") -> list[dict[str, Any]]:
    """The headline rows. Each mapping holds some of ram_bytes, flash_bytes, latency_us, instructions, cycles.

    source: where latency and cycles come from; a time without it is never shown.
    """
    start = start or {}
    rows = [(key, name, unit) for key, name, unit in RESOURCES]
    rows += [("instructions", "Instructions", ""), ("cycles", "Cycles (modelled)", ""), ("stack_bytes", "Stack", "bytes")]
    modelled = ("latency_us", "cycles")
    return [{"name": name, "unit": unit, "start": start.get(key), "budget": budget.get(key),
             "predicted": predicted.get(key), "measured": measured.get(key),
             "source": source if key in modelled else None}
            for key, name, unit in rows if any(side.get(key) is not None for side in (predicted, measured))]
