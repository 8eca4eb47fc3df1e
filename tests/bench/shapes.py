# SPDX-License-Identifier: Apache-2.0
"""Every kernel on thousands of random layers: the target's bytes against tflite-micro's, ``python -m tests.bench.shapes``.

Layers are drawn from the strategies of tests/kernels (one channel, one pixel, odd everything, zero points and
multipliers at both ends, weights and inputs of all -128 and all 127), fifty side by side in one firmware, and run
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
from mcunas.graph import write_tflite
from mcunas.graph.oracle import Oracle
from mcunas.paths import firmware_dir
from tests.bench.measure import ROOT, markdown, save
from tests.kernels import mve_strategies, strategies, test_dsp, test_scalar
from tests.kernels.bundle import bundle, draw
from tests.kernels.strategies_tensor import ELEMENTWISE

SHAPES = 50             # layers in a batch
KINDS = strategies.CASES | ELEMENTWISE
OWN = {"dsp": test_dsp.CASES, "wide": {k: test_dsp.CASES[k] for k in ("CONV_2D_DSP", "FULLY_CONNECTED_DSP")},
       "mve": mve_strategies.CASES, "m0": test_scalar.CASES, "m3": test_scalar.CASES, "scalar": KINDS}
BOARDS = {"dsp": "mps2-an386", "wide": "mps2-an386", "mve": "mps3-an547", "m0": "mps2-an385-m0plus", "m3": "mps2-an385",
          "scalar": "mps2-an505"}


def run_batch(variant: str, kind: str, number: int, optimize: str) -> dict[str, Any]:
    """One firmware of SHAPES layers: how many calls each kernel had, and the bytes that differ over two inputs."""
    graph, inputs = bundle(draw(OWN[variant][kind], SHAPES, 1000 * (number + 1)))
    board = Board.load(BOARDS[variant])
    choice = {i: variant for i, op in enumerate(graph.ops) if variant in candidates(graph, op, board.isa)}
    compiled = compile_graph(graph, board, optimize, rewrite=False, choice=Choice(choice))
    kernels = Counter(call.kernel for i in choice for call in compiled.plan.program.calls[i][:1])
    with tempfile.TemporaryDirectory() as folder:
        image = build(compiled, board, folder)
        shapes = [(tuple(graph.tensors[t].shape), graph.tensors[t].dtype) for t in graph.inputs]
        oracle, wrong = Oracle(graph, write_tflite(graph)), 0
        for given in (inputs, random_inputs(number, shapes)):
            for found, expected in zip(run(image, given), oracle.outputs(given), strict=True):
                wrong += int(np.count_nonzero(np.frombuffer(found.tobytes(), np.uint8)
                                              != np.frombuffer(expected.tobytes(), np.uint8)))
    return {"variant": variant, "kind": kind, "batch": number, "optimize": optimize, "kernels": dict(kernels),
            "mismatches": wrong}


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
    parser.add_argument("--batches", type=int, default=48, help="of each kind of layer")
    parser.add_argument("--keep", type=Path, default=ROOT / "build" / "shapes", help="where finished batches are kept")
    asked = parser.parse_args()
    rows = []
    kept = {variant: asked.keep / f"{variant}-{sources(variant)}" for variant in asked.variants}
    for number in range(asked.batches):
        for variant in asked.variants:
            for kind in OWN[variant]:
                file = kept[variant] / f"{kind.replace(' ', '_')}-{number}.json"
                if not file.exists():
                    level = ("cycles", "balanced", "flash")[number % 3]
                    write_file(file, json.dumps(run_batch(variant, kind, number, level)) + "\n")
                rows.append(json.loads(Path(file).read_text()))
                if rows[-1]["mismatches"]:
                    print("DIFFERS", rows[-1], flush=True)
    shapes, wrong = Counter(), Counter()
    for row in rows:
        shapes.update(row["kernels"])
        wrong.update(dict.fromkeys(row["kernels"], row["mismatches"]))
    table = [[kernel, shapes[kernel], wrong[kernel]] for kernel in sorted(shapes)]
    save("shapes", [dict(zip(("kernel", "layers", "mismatching_bytes"), row)) for row in table],
         markdown(["kernel", "random layers", "bytes that differ from tflite-micro"], table))


if __name__ == "__main__":
    main()
