# SPDX-License-Identifier: Apache-2.0
"""Fit the instruction and cycle models of a core: ``python -m mcunas.cost.fit [--board KEY ...]``.

Runs layers of many shapes in QEMU, many of them in one firmware that is profiled layer by layer: executed instructions,
and their cycles by the core's timings. Fits each kernel's price per unit of work (compiler/features.py) by non-negative
least squares on relative errors, for every variant of the kernels. Every fourth layer is held out; the errors that are
written to boards/cost/instructions-<core>.toml are theirs.
"""
from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mcunas.board import Board
from mcunas.compiler import compile_graph
from mcunas.compiler.choice import Choice
from mcunas.compiler.features import FEATURES, op_features
from mcunas.compiler.lower import candidates
from mcunas.compiler.tables import DEFAULT, clear
from mcunas.cost.regression import relative_fit
from mcunas.errors import DoesNotFit
from mcunas.graph.ir import Graph, Op, Quant, Tensor
from mcunas.graph.nibbles import with_int4
from mcunas.graph.shapes import infer
from mcunas.graph.spec import KINDS
from mcunas.graph.to_int16 import in_int16
from mcunas.paths import boards_dir

AT_ONCE = 24                # layers in one firmware
_IN_INT16 = ("ADD", "AVERAGE_POOL_2D", "DEPTHWISE_CONV_2D", "LOGISTIC", "MAX_POOL_2D", "MEAN", "MUL", "SOFTMAX")
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
HOLD_OUT = 4                # every so many layers
MOST_MACS = 500_000       # of a layer: what an emulated small core does in a second


def one_op(kind: str, shapes: list[tuple[int, ...]], attrs: dict, constants: dict[int, np.ndarray] | None = None) -> Graph:
    """A Graph of a single op. shapes: of its data inputs. constants: input position -> int32 parameters.

    Weighted kinds take their weight's shape as the second shape; weights are random, a bias is added. TRANSPOSE_CONV takes
    its output's shape as the constant 0.
    """
    random = np.random.default_rng(0)
    data = Quant.of(0.02, -128), Quant.of(0.03, 5)          # as after a ReLU, and before one
    weighted = kind in (*_WEIGHTED, "TRANSPOSE_CONV")
    tensors, inputs, graph_inputs = [], [], []
    for i, shape in enumerate(shapes):
        if weighted and i == 1:
            axis = 3 if kind == "DEPTHWISE_CONV_2D" else 0
            scale = random.uniform(0.001, 0.002, shape[axis]).astype(np.float32)
            weight = Quant(scale, np.zeros(shape[axis], np.int64), axis)
            tensors.append(Tensor("w", shape, "int8", weight, random.integers(-127, 128, shape).astype(np.int8)))
            inputs.append(len(tensors) - 1)
            bias = Quant((scale * np.float32(0.02)).astype(np.float32), np.zeros(shape[axis], np.int64), 0)
            tensors.append(Tensor("b", (shape[axis],), "int32", bias, np.zeros(shape[axis], np.int32)))
        else:
            tensors.append(Tensor(f"x{i}", shape, "int8", data[0 if KINDS[kind].same_quant else i]))
            graph_inputs.append(len(tensors) - 1)
        inputs.append(len(tensors) - 1)
    for position, values in sorted((constants or {}).items()):
        tensors.append(Tensor(f"c{position}", values.shape, "int32", None, values))
        inputs.insert(position, len(tensors) - 1)
    if kind == "TRANSPOSE_CONV":
        inputs[1:3] = inputs[2], inputs[1]
    fixed = {"SOFTMAX": (1 / 256, -128), "LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
    out = Quant.of(*fixed[kind]) if kind in fixed else data[0] if KINDS[kind].same_quant else Quant.of(0.04, -128)
    op = Op(kind, tuple(inputs), (len(tensors),), attrs)
    shape = infer(Graph((*tensors, Tensor("y", (1,), "int8", out)), (op,), tuple(graph_inputs), op.outputs), op)[0]
    return Graph((*tensors, Tensor("y", shape, "int8", out)), (op,), tuple(graph_inputs), op.outputs)


def layers(count: int = 48) -> Iterator[Graph]:
    """Layers of small networks, those with weights once more with int4 weights, many once more on int16 activations."""
    for n, graph in enumerate(int8_layers(count)):
        yield graph
        weighted = graph.ops[0].kind in _WEIGHTED
        if weighted:
            yield with_int4(graph, [0])
        if graph.ops[0].kind in _IN_INT16 or (weighted and n % 7 in (0, 2, 5)):
            yield in_int16(graph)
        if graph.ops[0].kind == "ADD":
            yield from _conversions(graph.tensors[graph.inputs[0]].shape)
    for graph in _transposed(2 * count):
        yield from (graph, in_int16(graph))


def _conversions(shape: tuple[int, ...]) -> Iterator[Graph]:
    """QUANTIZE to, from and within int16."""
    given = one_op("QUANTIZE", [shape], {})
    wide = (replace(given.tensors[0], dtype="int16", quant=Quant.of(0.0002)),
            replace(given.tensors[1], dtype="int16", quant=Quant.of(0.0003)))
    for tensors in ((given.tensors[0], wide[1]), (wide[0], given.tensors[1]), wide):
        yield given.with_(tensors=tensors)


def _transposed(count: int) -> Iterator[Graph]:
    """Transposed convolutions, as decoders have them."""
    random = np.random.default_rng(2)
    while count:
        side, c, out, k, stride = (int(random.choice(of)) for of in (
            [4, 5, 8, 10, 16], [2, 6, 8, 15, 16, 32], [1, 3, 8, 16, 18, 32], [2, 3, 4], [1, 2, 2]))
        padding = str(random.choice(["SAME", "VALID"]))
        size = side * stride if padding == "SAME" else (side - 1) * stride + max(k, stride)
        if (side * k) ** 2 * c * out > MOST_MACS:
            continue
        attrs = {"stride_h": stride, "stride_w": stride, "padding": padding, "activation": "NONE"}
        result = np.array([1, size, size, out], np.int32)
        yield one_op("TRANSPOSE_CONV", [(1, side, side, c), (out, k, k, c)], attrs, {0: result})
        count -= 1


def int8_layers(count: int) -> Iterator[Graph]:
    """Layers of the shapes that small networks have, log-uniform in their channels; the same ones every time.

    Half of the channel counts are multiples of eight, as people choose them.
    """
    random = np.random.default_rng(1)

    def channels(low: int, high: int) -> int:
        drawn = round(float(np.exp(random.uniform(np.log(low), np.log(high)))))
        return max(drawn // 8, 1) * 8 if random.random() < 0.5 and low > 1 else drawn

    def size() -> int:
        return int(random.choice([4, 5, 8, 10, 16, 24, 32]))

    def window(kernel: int) -> tuple[dict, int, int]:
        """(attributes, image size, kernel size)"""
        stride, padding = int(random.choice([1, 1, 2])), "SAME" if random.random() < 0.7 else "VALID"
        attrs = {"stride_h": stride, "stride_w": stride, "dilation_h": 1, "dilation_w": 1, "activation": "RELU",
                 "padding": padding}
        return attrs, max(size(), kernel), kernel

    def within(macs: int) -> bool:
        return macs <= MOST_MACS

    for n in range(count):
        while True:
            attrs, side, k = window(int(random.choice([3, 3, 3, 5])))
            c, out = {0: 1, 4: 3}.get(n % 8) or channels(2, 96), channels(2, 96)      # images have 1 or 3 channels
            if within((side // attrs["stride_h"]) ** 2 * k * k * c * out):
                break
        yield one_op("CONV_2D", [(1, side, side, c), (out, k, k, c)], attrs)
        # the narrow, odd widths that pruning leaves
        attrs, side, k = window(3)
        c, out = (int(v) for v in random.integers(3, 20, 2))
        yield one_op("CONV_2D", [(1, min(side, 16), min(side, 16), c), (out, k, k, c)], attrs)
        while True:
            side, c, out = size(), channels(2, 160), channels(2, 160)
            if within(side * side * c * out):
                break
        yield one_op("CONV_2D", [(1, side, side, c), (out, 1, 1, c)], {**attrs, "stride_h": 1, "stride_w": 1})
        attrs, side, k = window(int(random.choice([3, 3, 3, 3, 5])))
        side, c = side + int(random.random() < 0.3), channels(2, 128)
        yield one_op("DEPTHWISE_CONV_2D", [(1, side, side, c), (1, k, k, c)], {**attrs, "depth_multiplier": 1})
        for _ in range(2):
            c, out = channels(4, 700), channels(2, 160)
            yield one_op("FULLY_CONNECTED", [(1, c), (out, c)], {"activation": "NONE", "keep_dims": False})
        if n % 4 == 0:
            yield from _plain_layers((1, side, side, channels(2, 64)), channels(2, 40))


def _plain_layers(shape: tuple[int, ...], classes: int) -> Iterator[Graph]:
    """Layers without weights."""
    plain = {"activation": "NONE"}
    yield one_op("ADD", [shape, shape], {"activation": "RELU"})
    yield one_op("MUL", [shape, shape], plain)
    for side in {2, shape[1] // 2, shape[1]}:
        pool = {"filter_h": side, "filter_w": side, "stride_h": side, "stride_w": side, "padding": "VALID", **plain}
        yield one_op("AVERAGE_POOL_2D", [shape], pool)
        yield one_op("MAX_POOL_2D", [shape], pool)
    yield one_op("MEAN", [shape], {"keep_dims": False}, {1: np.array([1, 2], np.int32)})
    yield one_op("CONCATENATION", [shape, (*shape[:3], classes)], {"axis": 3, "activation": "NONE"})
    yield one_op("MAXIMUM", [shape, shape], {})
    twice = {1: np.array([2 * shape[1], 2 * shape[2]], np.int32)}
    for kind in ("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"):
        yield one_op(kind, [shape], {"align_corners": False, "half_pixel_centers": False}, twice)
    yield one_op("LOGISTIC", [shape], {})
    yield one_op("SOFTMAX", [(1, classes)], {"beta": 1.0})
    yield one_op("PAD", [shape], {}, {1: np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)})


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
    from mcunas.device import build
    from mcunas.device.profile import profile

    rows: dict[str, list[Sample]] = defaultdict(list)
    for batch in batches(graphs, board.ram_bytes):
        graph = together(batch)
        ways = [candidates(graph, op, board.isa) for op in graph.ops]
        for turn in range(max(map(len, ways))):
            picked = {i: list(found)[turn] for i, found in enumerate(ways) if turn < len(found)}
            part = together([batch[i] for i in picked])
            choice = Choice({k: v for k, v in enumerate(picked.values()) if len(ways[list(picked)[k]]) > 1})
            try:
                found = profile(build(compile_graph(part, board, rewrite=False, choice=choice), board, folder))
            except DoesNotFit:                          # a small board measures the small layers
                continue
            for op, layer in zip(part.ops, found.layers):
                if layer.kernels:
                    shapes = [part.tensors[t].shape if t >= 0 else () for t in op.inputs]
                    features = op_features(op.kind, op.attrs, shapes, part.tensors[op.outputs[0]].shape)
                    rows[layer.kernels[0]].append(Sample(features, layer.instructions, layer.cycles))
    return rows


def fit_kernel(features: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(price per feature, relative errors of the layers that were held out) of (n, k) features and (n,) counts."""
    held = np.arange(len(counts)) % HOLD_OUT == HOLD_OUT - 1
    # Relative errors, but a layer that takes long counts for more: it is what a network's total consists of.
    weight = (counts / np.median(counts)) ** 0.1
    checked = relative_fit(features[~held], counts[~held], weight[~held]) if held.any() else np.zeros(features.shape[1])
    prices = relative_fit(features, counts, weight)
    return prices, np.abs(features[held] @ checked / counts[held] - 1)


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
        rows = measured(list(layers()), board, Path(name))
    plain = [s for kernel in ("mn_lut_s8", "mn_copy_s8", "mn_mul_s8") for s in rows.get(kernel, [])]
    rows[DEFAULT] = plain or [s for found in rows.values() for s in found]
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
