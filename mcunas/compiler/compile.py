# SPDX-License-Identifier: Apache-2.0
"""compile_graph: Graph + board -> model.c, model.h and a manifest with every number that the board must confirm."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from mcunas.compiler.choice import Choice
from mcunas.compiler.emit import digest, emit_header, emit_source
from mcunas.compiler.goals import OPTIMIZE
from mcunas.compiler.lifetime import Program
from mcunas.compiler.lower import Table
from mcunas.compiler.patching import Patches, best_patches
from mcunas.compiler.plan import Plan, plan
from mcunas.compiler.rewriting import rewritten
from mcunas.compiler.schedule import Schedule, preferred
from mcunas.compiler.select import select
from mcunas.errors import DoesNotFit, InputError
from mcunas.graph.ir import Graph
from mcunas.graph.spec import WEIGHTED, data_inputs
from mcunas.graph.tflite_reader import identifier
from mcunas.graph.verify import verify

if TYPE_CHECKING:
    from mcunas.board import Board


@dataclass(frozen=True, eq=False)
class Compiled:
    """graph: as compiled, after the passes. kernels: names of the sources in firmware/kernels that the model calls;
    optimize: the goal it was compiled for. patches: None, where every op is computed as a whole.
    """

    graph: Graph
    model_id: str
    model_c: str
    model_h: str
    manifest: dict[str, Any]
    kernels: tuple[str, ...]
    plan: Plan
    optimize: str
    patches: Patches | None = None


def compile_graph(graph: Graph, board: Board, optimize: str = "balanced", model_id: str | None = None,
                  rewrite: bool = True, choice: Choice | None = None, ram_bytes: int | None = None,
                  flash_bytes: int | None = None) -> Compiled:
    """Compile a verified int8 Graph for `board`. rewrite: run the passes first; without them every op stays as given.

    choice: variants of the kernels; by default the selector chooses by the core's tables. ram_bytes: the arena's limit,
    by default all that the board has for it. `cycles` and `flash` take the fastest plan within it, `ram` the least RAM,
    `balanced` the least RAM for a few percent of the instructions. flash_bytes: what `cycles` may spend, by default all.
    Patches (mcunas.compiler.patching) are taken where `ram` gains by them or nothing else keeps the limit, not with a
    choice, which is for ops as they are.

    Raises InputError for an unknown goal or an illegal graph, DoesNotFit when no plan keeps the limit or the weights
    alone exceed the flash.
    """
    if optimize not in OPTIMIZE:
        raise InputError(f"unknown optimization goal {optimize!r}", fix=f"use one of {', '.join(OPTIMIZE)}")
    verify(graph)
    model_id = identifier(model_id or graph.name)
    graph, notes = rewritten(graph, board, optimize, choice) if rewrite else (graph, ())
    limit_bytes = min(ram_bytes or board.ram_bytes, board.ram_bytes)
    flash_limit_bytes = min(flash_bytes or board.flash_bytes, board.flash_bytes)
    if choice:
        variants = choice.check(graph, board).variants
        planned, patches = plan(graph, board.isa, optimize, limit_bytes, variants, memories(board)), None
    else:
        variants, found, patches = schedules(graph, board, optimize, limit_bytes, flash_limit_bytes)
        planned = Plan.within(found, limit_bytes, memories(board))
        graph = planned.program.graph
    weights = weight_bytes(graph)
    if not planned.fits(limit_bytes, memories(board)):
        peak = max(planned.schedule.steps, key=lambda step: step.live_bytes)
        limit = f"{board.key} has {limit_bytes} for it" if limit_bytes == board.ram_bytes else f"the budget is {limit_bytes}"
        if memories(board):
            room = " + ".join(f"{size} in {name}" for name, size in board.arenas.items())
            limit += f" ({room}), and its buffers cannot be divided so"
        fix = ("" if optimize == "ram" else "optimize for ram, ") + "use a smaller model or a larger board"
        raise DoesNotFit(f"the arena needs at least {planned.arena_bytes} bytes (peak at {graph.where(peak.ops[-1])}), "
                         f"{limit}", where=graph.name, fix=fix)
    if weights > flash_limit_bytes:
        limit = (f"{board.key} has {flash_limit_bytes} for a model" if flash_limit_bytes == board.flash_bytes
                 else f"the budget is {flash_limit_bytes}")
        raise DoesNotFit(f"the weights need {weights} bytes of flash, {limit}", where=graph.name,
                         fix="use a smaller model or a larger board")
    header, source = emit_header(graph, planned, model_id), emit_source(graph, planned, model_id)
    kernels = tuple(sorted({c.kernel for calls in planned.program.calls for c in calls}))
    manifest = _manifest(graph, planned, board, optimize, model_id, kernels, variants)
    manifest["arena_limit_bytes"], manifest["flash_limit_bytes"] = limit_bytes, flash_limit_bytes
    manifest["arenas"] = [{"memory": name, "bytes": used, "limit_bytes": room} for (name, room), used in
                          zip_longest(board.arenas.items(), planned.region_bytes, fillvalue=0)]
    manifest["passes"] = [{"pass": note.name, "did": note.text} for note in notes]
    manifest["patches"] = patches and patches.to_json()
    manifest["source_sha256"] = digest(header, source)
    return Compiled(graph, model_id, source, header, manifest, kernels, planned, optimize, patches)


def memories(board: Board) -> tuple[int, ...]:
    """Bytes that the arena may use of each memory, the fastest first; () where there is one only."""
    return tuple(board.arenas.values()) if len(board.arenas) > 1 else ()


class Scheduled(NamedTuple):
    """variants: op index -> of its kernels; schedules: as in schedule.preferred, all of one Graph, which is a rewritten
    one where there are patches."""

    variants: dict[int, str]
    schedules: list[Schedule]
    patches: Patches | None = None


def schedules(graph: Graph, board: Board, optimize: str, limit_bytes: int,
              flash_limit_bytes: int | None = None) -> Scheduled:
    """Of a graph after the passes."""
    def under(choice: Mapping[int, str]) -> list[Schedule]:
        return preferred(Program.of(graph, board.isa, choice), optimize, limit_bytes)

    choice = select(graph, board, optimize, lambda c: under(c)[-1].bound_bytes, None, flash_limit_bytes)
    found = under(choice)
    if optimize == "ram" or found[-1].bound_bytes > limit_bytes:
        patches = best_patches(found[-1], choice, board.isa, optimize, limit_bytes)
        if patches:
            return Scheduled(patches.variants, patches.schedules, patches)
    return Scheduled(choice, found)


def weight_bytes(graph: Graph) -> int:
    """int8 weights, int32 biases and constant operands of the graph, each counted once."""
    found = set()
    for op in graph.ops:
        parameters = op.inputs[1:] if op.kind in WEIGHTED else data_inputs(op.kind, op.inputs)
        found.update(t for t in parameters if t >= 0 and graph.tensors[t].is_const)
    return sum(graph.tensors[t].size_bytes for t in found)


def _manifest(graph: Graph, planned: Plan, board: Board, optimize: str, model_id: str,
              kernels: tuple[str, ...], variants: Mapping[int, str]) -> dict[str, Any]:
    calls = planned.program.calls
    step_of = planned.schedule.step_of
    layers = []
    for i, op in enumerate(graph.ops):
        sizes = {"weights": 0, "bias": 0, "requant": 0, "table": 0}
        for call in calls[i] if i in planned.program.with_own_tables else ():
            for value in call.params.values():
                if isinstance(value, Table):
                    sizes[value.role] += value.data.nbytes
        out = graph.tensors[op.outputs[0]]
        layers.append({"index": i, "kind": op.kind, "name": out.name, "step": step_of[i], "output": list(out.shape),
                       "kernels": [c.kernel for c in calls[i]], "variant": variants.get(i),
                       "macs": sum(c.macs for c in calls[i]),
                       "weights_bytes": sizes["weights"], "bias_bytes": sizes["bias"],
                       "table_bytes": sizes["requant"] + sizes["table"],
                       "scratch_bytes": planned.program.scratch_bytes(i),
                       "live_bytes": planned.live_bytes_per_step[step_of[i]]})
    return {
        "model": graph.name, "model_id": model_id, "board": board.key, "optimize": optimize,
        "arena_bytes": planned.arena_bytes, "arena_bound_bytes": planned.bound_bytes,
        "weight_bytes": weight_bytes(graph), "macs": sum(layer["macs"] for layer in layers),
        "kernels": list(kernels), "inputs": [_io(graph, planned, t) for t in graph.inputs],
        "outputs": [_io(graph, planned, t) for t in graph.outputs], "layers": layers, "order": list(planned.order),
        "plan": [{"name": b.name, "tensors": list(b.tensors), "bytes": b.size_bytes, "offset": at,
                  "memory": region, "first": b.first, "last": b.last}
                 for b, at, region in zip(planned.buffers, planned.buffer_offsets, planned.buffer_regions)],
    }


def _io(graph: Graph, planned: Plan, index: int) -> dict[str, Any]:
    tensor = graph.tensors[index]
    scale, zero_point = tensor.quant.per_tensor if tensor.quant else (1.0, 0)
    return {"name": tensor.name, "shape": list(tensor.shape), "dtype": tensor.dtype, "bytes": tensor.size_bytes,
            "offset": planned.offsets[index], "scale": scale, "zero_point": zero_point}
