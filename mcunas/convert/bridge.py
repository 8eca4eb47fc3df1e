# SPDX-License-Identifier: Apache-2.0
"""To the Python that has TensorFlow and back: one process per conversion, a request in, files out (see foreign/)."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from mcunas.errors import InputError, ToolMissing
from mcunas.paths import import_python

VARIABLE = "MCUNAS_IMPORT_PYTHON"
_PROGRAM = Path(__file__).parent / "foreign" / "run.py"
# Nothing of ours leads that Python astray, and nothing of it writes to the network's or the user's settings.
_NOT_PASSED = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "PYTHONSTARTUP", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Foreign:
    """See foreign/converted.py. answers: (sample, output) -> the original's output."""

    tflite: bytes
    inputs: list[tuple[str, tuple[int, ...]]]
    permutations: list[tuple[int, ...]]
    answers: dict[tuple[int, int], np.ndarray]
    nodes: Mapping[str, tuple[str, str]]


def interpreter() -> str:
    """The Python with TensorFlow: the one that VARIABLE names, the checkout's .venv-import, or this. Raises ToolMissing."""
    named = os.environ.get(VARIABLE)
    if named:
        if not os.access(named, os.X_OK):
            raise ToolMissing("is no program", f"{VARIABLE}={named}", "name the Python that has TensorFlow")
        return named
    own = import_python()
    if own.is_file():
        return str(own)
    if find_spec("tensorflow") and find_spec("onnx2tf"):
        return sys.executable
    raise ToolMissing("models of ONNX, Keras and TensorFlow need TensorFlow, which is not installed", "",
                      "run `make setup-import` in a checkout, or pip install 'mcunas[tensorflow]'")


def convert(kind: str, path: Path, samples: Mapping[str, np.ndarray]) -> Foreign:
    """kind: of `sources.kind_of`. Raises InputError for what the converter refuses, ToolMissing."""
    python = interpreter()
    with tempfile.TemporaryDirectory(prefix="mcunas-import-") as folder:
        out = Path(folder)
        np.savez(out / "samples.npz", **{name or "input": array for name, array in samples.items()})  # type: ignore[arg-type]
        model = path.resolve()
        if kind == "keras":                 # Keras goes by a name's ending
            link = out / ("model.h5" if path.open("rb").read(1) == b"\x89" else "model.keras")
            link.symlink_to(model)
            model = link
        request = {"kind": kind, "model": str(model), "samples": str(out / "samples.npz"), "out": folder}
        environment = {k: v for k, v in os.environ.items() if k not in _NOT_PASSED} | {"PYTHONNOUSERSITE": "1"}
        done = subprocess.run([python, str(_PROGRAM)], input=json.dumps(request).encode(), cwd=folder, env=environment,
                              capture_output=True, check=False)
        try:
            result = json.loads((out / "result.json").read_text())
        except (OSError, ValueError):
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
            raise InputError(f"the converter stopped with status {done.returncode} ({lines[-1]})", str(path),
                             f"see that {python} can import tensorflow and onnx2tf") from None
        if "error" in result:
            error = result["error"]
            where = f"{path}: {error['where']}" if error["where"] else str(path)
            raise InputError(error["what"], where, error["fix"])
        return _read(result, out)


def _read(result: Any, out: Path) -> Foreign:
    with np.load(out / "answers.npz", allow_pickle=False) as stored:
        answers = {(int(sample), int(output)): stored[name] for name in stored.files
                   for sample, output in [name.split()]}
    inputs = [(one["name"], tuple(one["shape"])) for one in result["inputs"]]
    return Foreign((out / "model.tflite").read_bytes(), inputs, [tuple(one["permutation"]) for one in result["inputs"]],
                   answers, {part: tuple(node) for part, node in result["nodes"].items()})
