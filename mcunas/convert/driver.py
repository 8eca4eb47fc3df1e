# SPDX-License-Identifier: Apache-2.0
"""import: any float model -> int8 Graph. Converted to a float .tflite where it is none, checked against the original,
calibrated and quantized here, and compared once more.
"""
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mcunas.atomic import write_file
from mcunas.convert import bridge
from mcunas.convert.calibrate import quantized, to_real, to_steps
from mcunas.convert.foreign.matching import match
from mcunas.convert.samples import load_samples
from mcunas.convert.sources import kind_of
from mcunas.errors import InputError
from mcunas.graph import Graph, read_tflite, write_tflite
from mcunas.graph.oracle import Oracle
from mcunas.graph.tflite_reader import Unsupported

SAME = 1e-3         # of the largest output: a converted model that is further off is another model
_NHWC = {3: (0, 2, 1), 4: (0, 2, 3, 1)}
_NOUN = {"onnx": "ONNX node", "keras": "Keras layer"}


@dataclass(frozen=True, eq=False)
class Imported:
    """graph: int8. inputs: (name, shape in the original, permutation of its axes to the graph's).

    conversion_error: the largest difference of the float .tflite from the original, of its largest output; None for a model
    that was a .tflite. snr_db: of the int8 outputs against the float ones, over the samples. agreement: share of samples
    whose largest output is the same; None where the outputs are no classes.
    """

    graph: Graph
    kind: str
    inputs: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    samples: int
    conversion_error: float | None
    snr_db: float
    agreement: float | None

    def save(self, path: str | Path) -> Path:
        """Write a standard int8 .tflite, whole or not at all."""
        path = Path(path)
        write_file(path, write_tflite(self.graph))
        return path


def run_import(model: str | Path, representative: str | Path) -> Imported:
    """See `mcunas.convert.import_model`."""
    path, data = Path(model), Path(representative)
    kind, samples = kind_of(path), load_samples(data)
    foreign = None
    if kind == "torch":
        from mcunas.convert.from_module import convert_module

        foreign = convert_module(str(model), samples, data)
    elif kind != "tflite":
        foreign = bridge.convert(kind, path, samples)
    tflite = foreign.tflite if foreign else path.read_bytes()
    nodes = foreign.nodes if foreign else {}
    try:
        graph = read_tflite(tflite, path.stem, floats=True)
    except Unsupported as error:
        found = node_of(error.tensor, nodes)
        where = f'{_NOUN[kind]} "{found[0]}" ({found[1]})' if found else f'op {error.index} (tensor "{error.tensor}")'
        raise InputError(f"{error.kind} has no integer kernel", f"{path}: {where}", error.fix) from None
    except InputError as error:
        raise InputError(error.what, f"{path}: {error.where}" if error.where != path.stem else str(path),
                         error.fix) from None
    graph = renamed(graph, nodes, foreign.inputs if foreign else None)
    inputs = foreign.inputs if foreign else [(graph.tensors[t].name, graph.tensors[t].shape) for t in graph.inputs]
    orders = foreign.permutations if foreign else [tuple(range(len(shape))) for _, shape in inputs]
    try:
        arrays = [np.ascontiguousarray(a.transpose(o)) for a, o in zip(match(samples, inputs), orders)]
    except ValueError as error:
        raise InputError(str(error), str(data), "give one array for each input, samples first") from None
    done = quantized(graph, tflite, arrays)
    off = largest_difference(done.floats, foreign.answers) if foreign else None
    if off is not None and not off <= SAME:
        raise InputError(f"the converted model answers otherwise than the original (by {off:.2%} of its largest output)",
                         str(path), "this is a defect of its converter; try another way of exporting the model")
    snr_db, agreement = compared(done.graph, arrays, done.floats)
    return Imported(done.graph, kind, tuple((n, s, o) for (n, s), o in zip(inputs, orders)), len(arrays[0]), off, snr_db,
                    agreement)


def node_of(tensor: str, nodes: Mapping[str, tuple[str, str]]) -> tuple[str, str] | None:
    """(name, kind) of what a .tflite's tensor was in the original: "model/conv2d_1/Relu;model/..." -> ("conv2d_1", ...).

    The first of the names that were fused into one is the last of the ops.
    """
    for part in tensor.split(";"):
        for piece in reversed(part.split("/")):
            for name in (piece, re.sub(r"_\d+$", "", piece)):      # Keras numbers the calls of a layer
                if name in nodes:
                    return nodes[name]
    return None


def renamed(graph: Graph, nodes: Mapping[str, tuple[str, str]], inputs: list[tuple[str, tuple[int, ...]]] | None) -> Graph:
    """The graph with the original's names, which reports and errors then show."""
    tensors = list(graph.tensors)
    for t in graph.activations():
        found = node_of(tensors[t].name, nodes)
        tensors[t] = replace(tensors[t], name=found[0] if found else tensors[t].name.split(";")[0])
    for t, (name, _) in zip(graph.inputs, inputs or []):
        tensors[t] = replace(tensors[t], name=name)
    return graph.with_(tensors=tuple(tensors))


def largest_difference(floats: list[list[np.ndarray]], answers: Mapping[tuple[int, int], np.ndarray]) -> float:
    """Of the converted model's outputs from the original's, whose images may have channels before rows."""
    worst = 0.0
    for (sample, k), answer in answers.items():
        found = floats[sample][k] if k < len(floats[sample]) else np.empty(0)
        if answer.shape != found.shape and answer.ndim in _NHWC:
            answer = answer.transpose(_NHWC[answer.ndim])
        if answer.size != found.size:
            return float("inf")
        top = max(float(np.abs(answer).max()), 1e-6)
        worst = max(worst, float(np.abs(answer.reshape(-1) - found.reshape(-1)).max()) / top)
    return worst


def compared(graph: Graph, arrays: list[np.ndarray], floats: list[list[np.ndarray]]) -> tuple[float, float | None]:
    """(signal to noise in dB, share of equal largest outputs or None)."""
    oracle, signal, noise, equal = Oracle(graph), 0.0, 0.0, 0
    for i, real in enumerate(floats):
        given = [to_steps(a[i:i + 1], graph.tensors[t].quant) for a, t in zip(arrays, graph.inputs)]
        found = [to_real(o, graph.tensors[t].quant) for o, t in zip(oracle.outputs(given), graph.outputs)]
        signal += sum(float((r.astype(np.float64) ** 2).sum()) for r in real)
        noise += sum(float(((r.astype(np.float64) - f) ** 2).sum()) for r, f in zip(real, found))
        equal += int(real[0].argmax() == found[0].argmax())
    classes = len(floats[0]) == 1 and floats[0][0].size > 1 and floats[0][0].size == floats[0][0].shape[-1]
    return 10 * float(np.log10(max(signal, 1e-30) / max(noise, 1e-30))), equal / len(floats) if classes else None
