# SPDX-License-Identifier: Apache-2.0
"""The verb inspect: what is in a .tflite, and which boards it fits."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcunas.cli import options
from mcunas.cli.output import kib, print_json, print_table, printable

if TYPE_CHECKING:
    from mcunas.cost.overview import Fit, Layer
    from mcunas.graph import Graph, Tensor


def inspect(
    model: Annotated[Path, typer.Argument(metavar="MODEL.tflite", help="An int8 or a float .tflite file.",
                                          show_default=False)],
    board: Annotated[str | None, typer.Option("--board", "-b", metavar="BOARD", show_default=False,
                                              help="Only this one, or a file; all if left out.")] = None,
    optimize: options.Optimized = options.Optimize.BALANCED,
    json: options.Json = False,
) -> None:
    """Show a model's layers, and which boards it fits.

    Nothing is built: RAM is the compiler's plan, flash comes from measured code sizes, cycles from the core's table.

    Example: mcunas inspect kws.tflite
    """
    from mcunas.board import Board
    from mcunas.cost.overview import fits, layers

    boards = [Board.load(key) for key in ([board] if board else Board.keys())]
    shown, deployed = _read(model)
    found, places = list(layers(shown)), list(fits(deployed, boards, optimize.value))
    floats = shown is not deployed
    if json:
        print_json(_json(shown, found, places, floats))
        return
    for what, tensors in (("input", shown.inputs), ("output", shown.outputs)):
        for t in tensors:
            print(f'{what} "{printable(shown.tensors[t].name)}": {_shape(shown.tensors[t])} {_quantized(shown.tensors[t])}')
    print_table(("layer", "output", "quantization", "weights", "bytes", "MACs"),
                [(f"{i} {one.kind}", _shape(one.output), _quantized(one.output), _weights(one),
                  f"{one.constant_bytes:,}" if one.constant_bytes else "–", f"{one.macs:,}" if one.macs else "–")
                 for i, one in enumerate(found)], f"{model.name}: {sum(one.macs for one in found):,} MACs")
    print_table(("board", "RAM", "of", "flash", "of", "cycles (model)", "latency", "fits"),
                [(one.board, kib(one.ram_bytes), kib(one.ram_limit_bytes), kib(one.flash_bytes), kib(one.flash_limit_bytes),
                  "–" if one.cycles is None else f"{one.cycles:,}",
                  "–" if one.latency_us is None else f"{one.latency_us / 1000:,.2f} ms", "yes" if one.fits else "no")
                 for one in places], "as int8" if floats else None)
    if floats:
        print(f"the model is float32: mcunas import {model.name} --representative DATA.npz makes it int8")


def _read(path: Path) -> tuple[Graph, Graph]:
    """(what the file holds, the int8 graph that is priced): for a float one, as int8 with ranges that stand for any."""
    from mcunas.convert.calibrate import nominal
    from mcunas.convert.sources import kind_of
    from mcunas.errors import InputError
    from mcunas.graph import read_tflite
    from mcunas.graph.tflite_reader import is_float

    if kind_of(path) != "tflite":
        raise InputError("is no .tflite file", str(path), f"mcunas import {path.name} --representative DATA.npz makes one")
    if not is_float(path):
        graph = read_tflite(path)
        return graph, graph
    graph = read_tflite(path, floats=True)
    return graph, nominal(graph)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _quantized(tensor: Tensor) -> str:
    if tensor.quant is None or not tensor.quant.is_per_tensor:
        return tensor.dtype
    scale, zero_point = tensor.quant.per_tensor
    return f"{tensor.dtype} {scale:.6g} ({zero_point:+d})"


def _weights(layer: Layer) -> str:
    if layer.weights is None:
        return "–"
    quant = layer.weights.quant
    return f"{_shape(layer.weights)} {layer.weights.dtype}{' per channel' if quant and not quant.is_per_tensor else ''}"


def _json(graph: Graph, found: list[Layer], places: list[Fit], floats: bool) -> dict[str, Any]:
    from dataclasses import asdict

    def described(tensor: Tensor) -> dict[str, Any]:
        quant = tensor.quant.per_tensor if tensor.quant is not None and tensor.quant.is_per_tensor else (None, None)
        return {"name": tensor.name, "shape": list(tensor.shape), "dtype": tensor.dtype, "scale": quant[0],
                "zero_point": quant[1]}

    ops = [{"kind": one.kind, "output": described(one.output), "constant_bytes": one.constant_bytes, "macs": one.macs,
            "weights": one.weights and {"shape": list(one.weights.shape), "dtype": one.weights.dtype,
                                        "per_channel": bool(one.weights.quant and not one.weights.quant.is_per_tensor)}}
           for one in found]
    return {"model": graph.name, "float": floats, "macs": sum(one.macs for one in found),
            "inputs": [described(graph.tensors[t]) for t in graph.inputs],
            "outputs": [described(graph.tensors[t]) for t in graph.outputs], "ops": ops,
            "boards": [{**asdict(one), "fits": one.fits} for one in places]}
