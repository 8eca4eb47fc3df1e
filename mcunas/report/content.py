# SPDX-License-Identifier: Apache-2.0
"""Sections of a report (see mcunas.report) from what the other rooms produce: images, validations, searches."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mcunas.board import Board
from mcunas.errors import InputError

if TYPE_CHECKING:
    from mcunas.budget import Budget
    from mcunas.compiler import Compiled
    from mcunas.device import Image, Profile, ValidationReport
    from mcunas.device.validate import Figures
    from mcunas.graph.ir import Graph
    from mcunas.search.result import Result

# key, name, unit; the first three have budgets
ROWS = (("ram_bytes", "RAM (arena)", "bytes"), ("flash_bytes", "Flash (model)", "bytes"),
        ("latency_us", "Latency (modelled)", "us"), ("instructions", "Instructions", ""),
        ("cycles", "Cycles (modelled)", ""), ("stack_bytes", "Stack", "bytes"))
MODELLED = ("latency_us", "cycles")     # never shown without their source


def of_validation(report: ValidationReport, image: Image, budget: Budget,
                  start: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Board, verdict, headline rows, byte comparison, memory plan and layers of a validated firmware.

    budget: complete (Budget.for_board). start: figures of the network that a search began with.
    """
    limits = {"ram_bytes": budget.ram_bytes, "flash_bytes": budget.flash_bytes, "latency_us": budget.latency_us}
    rows = _quantities(limits, _figures(report.predicted, image.board), _figures(report.measured, image.board),
                       start or {}, report.cycles_source)
    match = {"inputs": report.inputs, "bytes": report.inputs * sum(t["bytes"] for t in image.manifest["outputs"]),
             "mismatches": report.mismatches}
    return {"board": _board(image.board), "model": report.model, "verdict": _verdict(report, match, rows),
            "quantities": rows, "match": match, "budget": limits, "start": dict(start or {}), **_compiled(image.manifest)}


def of_model(image: Image, accuracy: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What follows from the .tflite that an image was built from, and takes seconds: memory plans by stage, layers with
    their prices, figures of merit, boards that it fits. accuracy: a report's section."""
    from mcunas.compiler import Choice, compile_graph
    from mcunas.cost import estimate
    from mcunas.cost.overview import fits
    from mcunas.cost.tflm import estimate_tflm
    from mcunas.graph import read_tflite
    from mcunas.report.metrics import metrics

    if image.tflite is None:
        return {}
    graph, manifest, board = read_tflite(image.tflite), image.manifest, image.board
    if image.is_tflm:           # there is no plan of ours, and no price by layer
        return {"metrics": metrics(graph, image.tflite.stat().st_size, estimate_tflm(graph, board), accuracy)}
    goal, choice = manifest["optimize"], Choice.of_manifest(manifest)
    final = compile_graph(graph, board, goal, choice=choice, ram_bytes=manifest["arena_limit_bytes"],
                          flash_bytes=manifest["flash_limit_bytes"])
    known = fits(graph, [Board.load(key) for key in Board.keys()], goal)
    found = {"stages": _stages(graph, final, board), "boards": [{**asdict(one), "fits": one.fits} for one in known]}
    try:
        cost = estimate(graph, board, goal=goal, ram_bytes=manifest["arena_limit_bytes"], choice=choice)
        found |= {"layers": _priced(manifest, final, board), "metrics": metrics(graph, image.tflite.stat().st_size, cost,
                                                                                accuracy)}
    except InputError:          # a core without tables: what is exact stands in the other sections
        pass
    return found


def of_search(result: Result, history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Training curves, and what was found: widths before and after, or choices in a space."""
    import torch

    from mcunas.prune.groups import find_groups
    from mcunas.report.network import compared, layers_of

    shape, after = result.genotype.input_shape, layers_of(result.model, result.genotype.input_shape)
    found = {"history": [dict(entry) for entry in history], "candidates": _candidates(result.metrics["facts"])}
    if result.genotype.is_of_space:
        feasible = result.metrics["feasible"]
        return {**found, "network": compared({}, after),
                "choices": [{"slot": slot, "option": option, "feasible": feasible[slot]}
                            for slot, option in result.genotype.choices.items()]}
    net, (height, width, depth) = result.genotype.build_dense().eval(), shape
    dense = find_groups(net, torch.zeros(1, depth, height, width))
    return {**found, "network": compared(layers_of(net, shape), after),
            "widths": [{"name": g.name, "before": g.channels, "after": result.genotype.widths.get(g.name, g.channels)}
                       for g in dense.groups]}


def _candidates(facts: Mapping[str, Any]) -> list[dict[str, float]]:
    """Networks that a search that asks and tells has evaluated."""
    keys = ("accuracy", "ram_bytes", "flash_bytes", "latency_us", "cycles")
    return [{key: one[key] for key in keys if key in one} for one in facts.get("candidates", ())]


def of_profile(found: Profile, image: Image) -> dict[str, Any]:
    """Board, memory plan, layers and the profile of a firmware."""
    return {"board": _board(image.board), "model": image.manifest["model"], **_compiled(image.manifest),
            "profile": found.to_json()}


def _board(board: Board) -> dict[str, Any]:
    return {"key": board.key, "name": board.name, "cpu": board.cpu, "clock_hz": board.clock_hz}


def _figures(figures: Figures, board: Board) -> dict[str, float | None]:
    """Figures of one inference with flash as the model's share and with the latency that the cycles mean."""
    flash = None if figures.flash_bytes is None else figures.flash_bytes - board.reserve.flash
    latency = None if figures.cycles is None else figures.cycles / board.clock_hz * 1e6
    return {"ram_bytes": figures.ram_bytes, "flash_bytes": flash, "latency_us": latency, "cycles": figures.cycles,
            "instructions": figures.instructions, "stack_bytes": figures.stack_bytes}


def _quantities(limits: Mapping[str, Any], predicted: Mapping[str, Any], measured: Mapping[str, Any],
                start: Mapping[str, Any], source: str) -> list[dict[str, Any]]:
    return [{"name": name, "unit": unit, "start": start.get(key), "budget": limits.get(key),
             "predicted": predicted[key], "measured": measured[key], "source": source if key in MODELLED else None}
            for key, name, unit in ROWS if predicted[key] is not None or measured[key] is not None]


def _verdict(report: ValidationReport, match: Mapping[str, int], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All that is wrong, in words; or that nothing is."""
    from mcunas.device.validate import is_promised

    wrong = []
    if match["mismatches"]:
        wrong.append(f"{match['mismatches']} of {match['bytes']} output bytes differ from tflite-micro")
    if not is_promised(report.measured.ram_bytes, report.predicted.ram_bytes):
        wrong.append(f"the inference touches {report.measured.ram_bytes} bytes of the arena, "
                     f"{report.predicted.ram_bytes} were planned")
    wrong += [f"{row['name']} exceeds its budget ({row['measured']:,.0f} > {row['budget']:,.0f} {row['unit']})"
              for row in rows if row["budget"] is not None and row["measured"] is not None
              and row["measured"] > row["budget"]]
    if wrong:
        return {"ok": False, "text": "; ".join(wrong)}
    return {"ok": True, "text": f"it fits, and all {match['bytes']} output bytes are those of tflite-micro"}


def _below(region_bytes: Sequence[int]) -> list[int]:
    """Where each memory of the arena begins, were they one on the other."""
    return [sum(region_bytes[:k]) for k in range(len(region_bytes))]


def _stages(given: Graph, final: Compiled, board: Board) -> list[dict[str, Any]]:
    """The memory plan before and after each stage of the compilation of a model."""
    from mcunas.compiler.stages import stages

    found = []
    for stage in stages(given, final.plan, board.isa, final.patches.before if final.patches else None):
        ops, plan = stage.plan.program.graph.ops, stage.plan
        steps = [" + ".join(f"{i} {ops[i].kind}" for i in step.ops) for step in plan.schedule.steps]
        below = _below(plan.region_bytes)
        tensors = [{"name": b.name, "offset": below[k] + at, "bytes": b.size_bytes, "first": b.first, "last": b.last}
                   for b, at, k in zip(plan.buffers, plan.buffer_offsets, plan.buffer_regions)]
        found.append({"what": stage.what, "arena_bytes": plan.arena_bytes, "steps": steps, "tensors": tensors})
    return found


def _compiled(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The memory plan and the layers that the compiler decided on."""
    layers = manifest["layers"]
    if "plan" not in manifest:
        return {"layers": [_layer(layer) for layer in layers]}
    steps = [" + ".join(f"{layer['index']} {layer['kind']}" for layer in layers if layer["step"] == step)
             for step in range(1 + max((layer["step"] for layer in layers), default=-1))]
    below = _below([part["bytes"] for part in manifest["arenas"]])
    tensors = [{"name": b["name"], "offset": below[b["memory"]] + b["offset"], "bytes": b["bytes"], "first": b["first"],
                "last": b["last"]} for b in manifest["plan"]]
    return {"plan": {"arena_bytes": manifest["arena_bytes"], "steps": steps, "tensors": tensors},
            "layers": [_layer(layer) for layer in layers]}


def _layer(layer: Mapping[str, Any]) -> dict[str, Any]:
    """Of a manifest's layer: name, kind, shape of the output, MACs and bytes."""
    return {"name": layer["name"], "kind": layer["kind"], "output": layer["output"], "macs": layer["macs"],
            "weight_bytes": layer["weights_bytes"] + layer["bias_bytes"]}


def _priced(manifest: Mapping[str, Any], final: Compiled, board: Board) -> list[dict[str, Any]]:
    """The layers with cycles of one call each, by the core's table, and the flash of their tables."""
    from mcunas.cost.estimate import layer_cycles

    return [{**_layer(layer), "flash_bytes": layer["weights_bytes"] + layer["bias_bytes"] + layer["table_bytes"],
             "cycles": None if cycles is None else round(cycles)}
            for layer, cycles in zip(manifest["layers"], layer_cycles(final.plan.program, board), strict=True)]
