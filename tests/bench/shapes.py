# SPDX-License-Identifier: Apache-2.0
"""Every kernel on thousands of random layers: the target's bytes against tflite-micro's, ``python -m tests.bench.shapes``.

Layers are drawn from the strategies of tests/kernels (one channel, one pixel, odd everything, zero points and
multipliers at both ends, weights and inputs of all -128 and all 127), a hundred side by side in one firmware, and run
in QEMU, so that the assembly itself is compared. Batches that ran for these very sources are not run again.
"""
from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from mcunas.atomic import write_file
from mcunas.board import Board
from mcunas.compiler import Choice, compile_graph
from mcunas.compiler.lower import candidates
from mcunas.device import build, run
from mcunas.device.random_input import random_inputs
from mcunas.errors import DoesNotFit
from mcunas.graph import write_tflite
from mcunas.graph.oracle import Oracle
from mcunas.paths import firmware_dir
from tests.bench.measure import ROOT, markdown, save
from tests.kernels import mve_strategies, strategies, test_dsp, test_scalar
from tests.kernels.bundle import Case, bundle, draw
from tests.kernels.strategies_tensor import ELEMENTWISE

SHAPES = 100            # layers in a batch
MOST_BATCHES = 200      # of a kind: some kernels are rarely met
KINDS = strategies.CASES | ELEMENTWISE
OWN = {"dsp": test_dsp.CASES, "wide": {k: test_dsp.CASES[k] for k in ("CONV_2D_DSP", "FULLY_CONNECTED_DSP")},
       "mve": mve_strategies.CASES, "m0": test_scalar.CASES, "m3": test_scalar.CASES, "scalar": KINDS}
BOARDS = {"dsp": "mps2-an386", "wide": "mps2-an386", "mve": "mps3-an547", "m0": "mps2-an385-m0plus", "m3": "mps2-an385",
          "scalar": "mps2-an505"}


def run_batch(variant: str, kind: str, number: int, optimize: str) -> dict[str, Any]:
    """SHAPES layers: how many calls each kernel had, and the bytes that differ over two inputs."""
    kernels, wrong = _compare(draw(OWN[variant][kind], SHAPES, 1000 * (number + 1)), variant, number, optimize)
    return {"variant": variant, "kind": kind, "batch": number, "optimize": optimize, "kernels": dict(kernels),
            "mismatches": wrong}


def _compare(cases: list[Case], variant: str, seed: int, optimize: str) -> tuple[Counter[str], int]:
    """The layers as one firmware, or as two where one does not fit the board."""
    graph, inputs = bundle(cases)
    board = Board.load(BOARDS[variant])
    choice = {i: variant for i, op in enumerate(graph.ops) if variant in candidates(graph, op, board.isa)}
    try:
        compiled = compile_graph(graph, board, optimize, rewrite=False, choice=Choice(choice))
        with tempfile.TemporaryDirectory() as folder:
            image = build(compiled, board, folder)
            shapes = [(tuple(graph.tensors[t].shape), graph.tensors[t].dtype) for t in graph.inputs]
            oracle, wrong = Oracle(graph, write_tflite(graph)), 0
            for given in (inputs, random_inputs(seed, shapes)):
                for found, expected in zip(run(image, given), oracle.outputs(given), strict=True):
                    wrong += int(np.count_nonzero(np.frombuffer(found.tobytes(), np.uint8)
                                                  != np.frombuffer(expected.tobytes(), np.uint8)))
    except DoesNotFit:
        half = len(cases) // 2
        first, second = (_compare(part, variant, seed, optimize) for part in (cases[:half], cases[half:]))
        return first[0] + second[0], first[1] + second[1]
    return Counter(call.kernel for i in choice for call in compiled.plan.program.calls[i][:1]), wrong


def sources(variant: str) -> str:
    """Hash of what the kernels of a variant are made from: their sources, the shared ones, and the strategies."""
    others = {"dsp", "mve", "m0", "m3", "scalar"} - {"dsp" if variant == "wide" else variant}
    found = hashlib.sha256()
    for folder in (firmware_dir() / "kernels", ROOT / "mcunas" / "compiler" / "lower", ROOT / "tests" / "kernels"):
        for path in sorted(p for p in folder.rglob("*") if p.suffix in (".c", ".h", ".py")):
            if not others & set(path.stem.split("_")):
                found.update(path.read_bytes())
    return found.hexdigest()[:16]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", nargs="*", default=list(OWN), choices=list(OWN))
    parser.add_argument("--layers", type=int, default=2000, help="of each kernel, at least")
    parser.add_argument("--show", action="store_true", help="count the batches that are there; run none")
    parser.add_argument("--keep", type=Path, default=ROOT / "build" / "shapes", help="where finished batches are kept")
    asked = parser.parse_args()
    kept = {variant: asked.keep / f"{variant}-{sources(variant)}" for variant in asked.variants}
    shapes: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    feeds: dict[tuple[str, str], set[str]] = {}     # which kernels a kind of layer has met
    for number in range(MOST_BATCHES):
        for variant, kind in ((v, k) for v in asked.variants for k in OWN[v]):
            met = feeds.setdefault((variant, kind), set())
            if number and not asked.show and all(shapes[kernel] >= asked.layers for kernel in met):
                continue
            file = kept[variant] / f"{kind.replace(' ', '_')}-{number}.json"
            if asked.show and not file.exists():
                continue
            if not file.exists():
                level = ("cycles", "balanced", "flash")[number % 3]
                write_file(file, json.dumps(run_batch(variant, kind, number, level)) + "\n")
            row = json.loads(file.read_text())
            shapes.update(row["kernels"])
            wrong.update(dict.fromkeys(row["kernels"], row["mismatches"]))
            met.update(row["kernels"])
            if row["mismatches"]:
                print("DIFFERS", row, flush=True)
    table = [[kernel, shapes[kernel], wrong[kernel]] for kernel in sorted(shapes)]
    save("shapes", [dict(zip(("kernel", "layers", "mismatching_bytes"), row)) for row in table],
         markdown(["kernel", "random layers", "bytes that differ from tflite-micro"], table))


if __name__ == "__main__":
    main()
