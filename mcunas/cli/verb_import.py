# SPDX-License-Identifier: Apache-2.0
"""The verb import: a float model of ONNX, Keras, TensorFlow or TFLite becomes an int8 .tflite."""
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcunas.cli import options
from mcunas.cli.output import print_json, print_table, printable, working


def import_model(
    model: Annotated[Path, typer.Argument(metavar="MODEL", show_default=False, help=(
        "An .onnx, .keras, .h5 or float .tflite file, a SavedModel folder, or module:function for a torch module."))],
    representative: Annotated[Path, typer.Option("--representative", "-r", metavar="DATA.npz", show_default=False, help=(
        "Real inputs as the model takes them, samples first; a hundred are plenty."))],
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", show_default=False, help=(
        "The .tflite to write; by default NAME-int8.tflite beside it."))] = None,
    json: options.Json = False,
) -> None:
    """Turn a float model (ONNX, Keras, TFLite) into an int8 .tflite.

    Example: mcunas import model.onnx --representative inputs.npz --out model.tflite
    """
    from mcunas.convert import import_model as convert
    from mcunas.errors import InputError

    target = out or _beside(model)
    if target.is_dir() or target.suffix != ".tflite":
        raise InputError("is not the name of a .tflite file", f"--out {target}", "for example --out model.tflite")
    with working(f"converting and quantizing {model}"):
        done = convert(model, representative)
    done.save(target)
    if json:
        print_json({"model": str(target), "source": done.kind, "samples": done.samples,
                    "inputs": [{"name": n, "shape": s, "permutation": p} for n, s, p in done.inputs],
                    "ops": len(done.graph.ops), "conversion_error": done.conversion_error,
                    "snr_db": round(done.snr_db, 2), "agreement": done.agreement})
        return
    rows = [("operators", f"{len(done.graph.ops)}"), ("samples", f"{done.samples}"),
            ("int8 against float", f"{done.snr_db:.1f} dB")]
    if done.agreement is not None:
        rows.append(("same class", f"{done.agreement:.1%}"))
    print_table((model.name, "int8"), rows)
    for (name, shape, order), t in zip(done.inputs, done.graph.inputs):
        if order != tuple(range(len(shape))):
            print(f'input "{printable(name)}" is {done.graph.tensors[t].shape} (NHWC) there, {shape} in the original')
    print(f"wrote {target}")


def _beside(model: Path) -> Path:
    """NAME-int8.tflite beside NAME.onnx or the folder NAME; for module:NAME in this folder."""
    if ":" in model.name and not model.exists():
        return Path(f"{model.name.rpartition(':')[2]}-int8.tflite")
    named = model.resolve() if model.name in ("", "..") else model
    return named.parent / f"{named.stem or 'model'}-int8.tflite"
