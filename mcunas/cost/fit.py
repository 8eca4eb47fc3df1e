# SPDX-License-Identifier: Apache-2.0
"""Fit the instruction and cycle models of a core: ``python -m mcunas.cost.fit [--board KEY ...]``.

Runs layers of many shapes in QEMU, many of them in one firmware that is profiled layer by layer: executed instructions,
and their cycles by the core's timings. Fits each kernel's price per unit of work (compiler/features.py) by non-negative
least squares on relative errors, for every variant of the kernels. Each quarter of a kernel's layers is predicted from the
others; the errors that are written to boards/cost/instructions-<core>.toml are those.
"""
from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mcunas.board import Board
from mcunas.compiler import compile_graph
from mcunas.compiler.choice import Choice
from mcunas.compiler.features import FEATURES, call_features
from mcunas.compiler.lower import candidates
from mcunas.compiler.tables import DEFAULT, clear
from mcunas.cost.estimate import shapes_of
from mcunas.cost.fit_layers import layers
from mcunas.cost.regression import relative_fit
from mcunas.errors import DoesNotFit
from mcunas.graph.ir import Graph, Op, Tensor
from mcunas.paths import boards_dir

AT_ONCE = 24                # layers in one firmware
HOLD_OUT = 4                # one layer in so many, each once


def together(graphs: Sequence[Graph]) -> Graph:
    """One Graph that runs all of these side by side, each from its own inputs."""
    tensors: list[Tensor] = []
    ops, inputs, outputs = [], [], []
    for graph in graphs:
        base = len(tensors)
        tensors += graph.tensors
        for op in graph.ops:
            ins, outs = (tuple(t + base if t >= 0 else t for t in side) for side in (op.inputs, op.outputs))
            ops.append(Op(op.kind, ins, outs, op.attrs))
        inputs += [t + base for t in graph.inputs]
        outputs += [t + base for t in graph.outputs]
    return Graph(tuple(tensors), tuple(ops), tuple(inputs), tuple(outputs))


@dataclass(frozen=True)
class Sample:
    """A layer as one kernel computed it: FEATURES, executed instructions, modelled cycles."""

    features: tuple[float, ...]
    instructions: int
    cycles: int


def batches(graphs: Sequence[Graph], ram_bytes: int) -> Iterator[list[Graph]]:
    """Layers for one firmware each: at most AT_ONCE, whose inputs and outputs lie in RAM together; without those that are
    too large even alone."""
    batch, left = [], ram_bytes
    for graph in graphs:
        taken = sum(graph.tensors[t].size_bytes + 4 for t in (*graph.inputs, *graph.outputs))
        if taken > ram_bytes:
            continue
        if len(batch) == AT_ONCE or taken > left:
            yield batch
            batch, left = [], ram_bytes
        batch.append(graph)
        left -= taken
    if batch:
        yield batch


def measured(graphs: Sequence[Graph], board: Board, folder: Path) -> dict[str, list[Sample]]:
    """kernel -> the layers that it computed, with every variant that a layer has. Raises ToolMissing, InputError."""
    rows: dict[str, list[Sample]] = defaultdict(list)
    for batch in batches(graphs, board.ram_bytes):
        ways = [list(candidates(graph, graph.ops[0], board.isa)) for graph in batch]
        for turn in range(max(map(len, ways))):
            picked = [(graph, variants[turn]) for graph, variants in zip(batch, ways) if turn < len(variants)]
            for kernel, sample in _counted(picked, board, folder):
                rows[kernel].append(sample)
    return rows


def _counted(picked: Sequence[tuple[Graph, str]], board: Board, folder: Path) -> Iterator[tuple[str, Sample]]:
    """(kernel, layer) of layers with their variants: of one firmware, or of two with half of them each where that does not
    fit; without those that do not fit even alone."""
    from mcunas.device import build
    from mcunas.device.profile import profile

    graph = together([layer for layer, _ in picked])
    ways = [candidates(layer, layer.ops[0], board.isa) for layer, _ in picked]
    choice = Choice({i: variant for i, (_, variant) in enumerate(picked) if len(ways[i]) > 1})
    try:
        found = profile(build(compile_graph(graph, board, rewrite=False, choice=choice), board, folder))
    except DoesNotFit:
        for half in (picked[:len(picked) // 2], picked[len(picked) // 2:]) if len(picked) > 1 else ():
            yield from _counted(half, board, folder)
        return
    for op, layer, (_, variant), found_ways in zip(graph.ops, found.layers, picked, ways):
        if calls := found_ways[variant]:
            features = call_features(op, shapes_of(graph, op), graph.tensors[op.outputs[0]].shape, calls)
            yield calls[0].kernel, Sample(features, layer.instructions, layer.cycles)


def fit_kernel(features: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(price per feature, relative error of each layer when it was held out) of (n, k) features and (n,) counts; no errors
    where layers are too few."""
    # Relative errors, but a layer that takes long counts for more: it is what a network's total consists of.
    weight = (counts / np.median(counts)) ** 0.1
    fold = np.random.default_rng(0).permutation(len(counts)) % HOLD_OUT
    errors = np.zeros(len(counts) if len(counts) >= 2 * HOLD_OUT else 0)
    for k in range(HOLD_OUT if len(errors) else 0):
        held = fold == k
        checked = relative_fit(features[~held], counts[~held], weight[~held])
        errors[held] = np.abs(features[held] @ checked / counts[held] - 1)
    return relative_fit(features, counts, weight), errors


def line_of(kernel: str, samples: Sequence[Sample], what: str) -> tuple[str, np.ndarray]:
    """(a kernel's line in a table, errors of the layers that were held out). what: "instructions" or "cycles"."""
    features = np.array([s.features for s in samples], float)
    prices, error = fit_kernel(features, np.array([getattr(s, what) for s in samples], float))
    values = ", ".join(f"{f} = {p:.4g}" for f, p in zip(FEATURES, prices) if p > 0)
    median, tail = np.percentile(error * 100, (50, 90)) if len(error) else (np.nan, np.nan)
    return f"{kernel} = {{ {values} }}  # {len(samples)} layers; held out {median:.1f} %, {tail:.1f} %", error


def measure(board: Board) -> str:
    """The table as TOML text. Raises ToolMissing, InputError."""
    with tempfile.TemporaryDirectory() as name:
        return table(measured(list(layers()), board, Path(name)))


def table(rows: dict[str, list[Sample]]) -> str:
    """As TOML text, of what was measured."""
    plain = [s for kernel in ("mn_lut_s8", "mn_copy_s8", "mn_mul_s8") for s in rows.get(kernel, [])]
    rows = rows | {DEFAULT: plain or [s for found in rows.values() for s in found]}
    sections, errors = [], {"instructions": [], "cycles": []}
    for what in errors:
        sections += ["", f"[{what}]"]
        for kernel, samples in sorted(rows.items()):
            line, error = line_of(kernel, samples, what)
            errors[what] += [] if kernel == DEFAULT else error.tolist()
            sections.append(line)
    total = sum(len(s) for kernel, s in rows.items() if kernel != DEFAULT)
    heads = []
    for what, found in errors.items():
        median, tail = np.percentile(np.array(found) * 100, (50, 90))
        heads.append(f"{what}_error_percent = [{median:.1f}, {tail:.1f}]")
    return "\n".join(["# SPDX-License-Identifier: Apache-2.0",
                      "# Written by python -m mcunas.cost.fit: what a unit of work takes (compiler/features.py) per kernel.",
                      "# Errors are those of layers that were held out: median and 90th percentile.",
                      f'source = "fitted on {total} layers run in QEMU"', *heads, *sections]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", action="append", help="board key; default: one board per core")
    for key in parser.parse_args().board or Board.cores():
        board = Board.load(key)
        path = boards_dir() / "cost" / f"instructions-{board.cost_table}.toml"
        path.write_text(measure(board))
        clear()
        print(path)


if __name__ == "__main__":
    main()
