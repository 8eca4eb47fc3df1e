# SPDX-License-Identifier: Apache-2.0
"""Fit the instruction model of a core: ``python -m mcunas.cost.fit [--board KEY ...]``.

Runs layers of many shapes as one-op firmware in QEMU, counts instructions exactly, and fits each kernel's price per unit
of work (compiler/features.py) by non-negative least squares on relative errors. Every fourth layer is held out; the residual
that is written to boards/cost/instructions-<core>.toml is theirs.
"""
from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mcunas.board import Board
from mcunas.compiler import compile_graph, plan
from mcunas.compiler.features import FEATURES, op_features
from mcunas.compiler.tables import DEFAULT
from mcunas.errors import DoesNotFit
from mcunas.graph.ir import Graph, Op, Quant, Tensor
from mcunas.graph.shapes import infer
from mcunas.graph.spec import KINDS
from mcunas.paths import boards_dir

HOLD_OUT = 4                # every so many layers
MOST_MACS = 1_500_000       # of a layer: what an emulated small core does in a second


def one_op(kind: str, shapes: list[tuple[int, ...]], attrs: dict, constants: dict[int, np.ndarray] | None = None) -> Graph:
    """A Graph of a single op. shapes: of its data inputs. constants: input position -> int32 parameters.

    Weighted kinds take their weight's shape as the second shape; weights are random, a bias is added.
    """
    random = np.random.default_rng(0)
    data = Quant.of(0.02, -128), Quant.of(0.03, 5)          # as after a ReLU, and before one
    weighted = kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
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
            tensors.append(Tensor(f"x{i}", shape, "int8", data[i]))
            graph_inputs.append(len(tensors) - 1)
        inputs.append(len(tensors) - 1)
    for position, values in sorted((constants or {}).items()):
        tensors.append(Tensor(f"c{position}", values.shape, "int32", None, values))
        inputs.insert(position, len(tensors) - 1)
    fixed = {"SOFTMAX": (1 / 256, -128), "LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
    out = Quant.of(*fixed[kind]) if kind in fixed else data[0] if KINDS[kind].same_quant else Quant.of(0.04, -128)
    op = Op(kind, tuple(inputs), (len(tensors),), attrs)
    shape = infer(Graph((*tensors, Tensor("y", (1,), "int8", out)), (op,), tuple(graph_inputs), op.outputs), op)[0]
    return Graph((*tensors, Tensor("y", shape, "int8", out)), (op,), tuple(graph_inputs), op.outputs)


def layers(count: int = 48) -> Iterator[Graph]:
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
        if n % 3 < 2:
            attrs, side, k = window(int(random.choice([3, 3, 3, 3, 5])))
            side, c = side + int(random.random() < 0.3), channels(2, 128)
            yield one_op("DEPTHWISE_CONV_2D", [(1, side, side, c), (1, k, k, c)], {**attrs, "depth_multiplier": 1})
        if n % 2 == 0:
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
    yield one_op("LOGISTIC", [shape], {})
    yield one_op("SOFTMAX", [(1, classes)], {"beta": 1.0})
    yield one_op("PAD", [shape], {}, {1: np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)})


def instructions(graph: Graph, board: Board, folder: Path) -> int:
    """Executed instructions of one inference in QEMU, on a random input."""
    from mcunas.device import build, connect
    from mcunas.device.random_input import random_inputs
    from mcunas.device.run import input_bytes
    from mcunas.device.validate import instructions_of

    image = build(compile_graph(graph, board), board, folder)
    arrays = random_inputs(1, [(tuple(t["shape"]), t["dtype"]) for t in image.manifest["inputs"]])
    with connect(image) as link:
        link.load(input_bytes(image, arrays))
        ticks, empty = link.ticks()
    return instructions_of(board, ticks) - instructions_of(board, empty)


def fit_kernel(rows: list[tuple[tuple, int]]) -> tuple[np.ndarray, float]:
    """(price per feature, mean absolute residual in percent on the held-out rows) for (features, instructions) rows."""
    features, counts = np.array([r[0] for r in rows], float), np.array([r[1] for r in rows], float)
    held = np.arange(len(rows)) % HOLD_OUT == HOLD_OUT - 1
    train = ~held if held.any() and (~held).sum() >= 3 else np.ones(len(rows), bool)
    # Relative errors, but a layer that takes long counts for more: it is what a network's total consists of.
    weight = (counts[train] / np.median(counts[train])) ** 0.1
    prices = _least_squares(features[train] / counts[train, None] * weight[:, None], weight)
    test = held if held.any() else train
    return prices, float(np.abs(features[test] @ prices / counts[test] - 1).mean() * 100)


def _least_squares(rows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Non-negative prices with rows @ prices = wanted, by coordinate descent on the normal equations."""
    scale = np.maximum(rows.max(axis=0), 1e-30)
    a = rows / scale
    gram, target = a.T @ a, a.T @ wanted
    x = np.zeros(len(target))
    for _ in range(20_000):
        before = x.copy()
        for i in np.flatnonzero(np.diag(gram) > 0):
            x[i] = max(0.0, x[i] + (target[i] - gram[i] @ x) / gram[i, i])
        if np.abs(x - before).max() < 1e-12:
            break
    return x / scale


def measure(board: Board) -> str:
    """The table as TOML text. Raises ToolMissing, InputError."""
    rows: dict[str, list] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        for graph in layers():
            op = graph.ops[0]
            shapes = [graph.tensors[t].shape for t in op.inputs]
            found = op_features(op.kind, op.attrs, shapes, graph.tensors[op.outputs[0]].shape)
            kernel = plan(graph, board.isa).program.calls[0][0].kernel
            with contextlib.suppress(DoesNotFit):           # a small board measures the small layers
                rows[kernel].append((found, instructions(graph, board, Path(name))))
    fits = {kernel: fit_kernel(found) for kernel, found in sorted(rows.items())}
    plain = [r for kernel in ("mn_lut_s8", "mn_copy_s8", "mn_mul_s8") for r in rows.get(kernel, [])]
    fits[DEFAULT] = fit_kernel(plain)
    total = sum(len(r) for r in rows.values())
    error = sum(fits[k][1] * len(r) for k, r in rows.items()) / total
    lines = ["# SPDX-License-Identifier: Apache-2.0",
             "# Written by python -m mcunas.cost.fit; instructions per unit of work (compiler/features.py) per kernel.",
             f'source = "fitted on {total} layers counted in QEMU"', f"error_percent = {error:.1f}", "", "[kernels]"]
    for kernel, (prices, residual) in fits.items():
        values = ", ".join(f"{f} = {p:.4g}" for f, p in zip(FEATURES, prices))
        lines.append(f"{kernel} = {{ {values} }}  # residual {residual:.1f} % of {len(rows.get(kernel, plain))} layers")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", action="append", help="board key; default: every board with an emulator")
    for key in parser.parse_args().board or Board.keys():
        board = Board.load(key)
        path = boards_dir() / "cost" / f"instructions-{board.cost_table}.toml"
        path.write_text(measure(board))
        print(path)


if __name__ == "__main__":
    main()
