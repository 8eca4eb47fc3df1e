# SPDX-License-Identifier: Apache-2.0
"""Fit the instruction model of a core: ``python -m mcunas.cost.fit [--board KEY ...]``.

Runs layers of many shapes as one-op firmware in QEMU, counts instructions exactly, and fits each kernel's price per unit
of work (cost/features.py) by non-negative least squares on relative errors. Every fourth layer is held out; the residual
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
from mcunas.cost.features import FEATURES, op_features
from mcunas.cost.tables import DEFAULT
from mcunas.errors import DoesNotFit
from mcunas.graph.ir import Graph, Op, Quant, Tensor
from mcunas.graph.shapes import infer
from mcunas.paths import boards_dir

HOLD_OUT = 4        # every so many layers


def one_op(kind: str, shapes: list[tuple[int, ...]], attrs: dict, constants: dict[int, np.ndarray] | None = None) -> Graph:
    """A Graph of a single op. shapes: of its data inputs. constants: input position -> int32 parameters.

    Weighted kinds take their weight's shape as the second shape; weights are random, a bias is added.
    """
    random, quant = np.random.default_rng(0), Quant.of(0.05, 3)
    weighted = kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    tensors, inputs, graph_inputs = [], [], []
    for i, shape in enumerate(shapes):
        if weighted and i == 1:
            axis = 3 if kind == "DEPTHWISE_CONV_2D" else 0
            scale = random.uniform(0.001, 0.002, shape[axis]).astype(np.float32)
            weight = Quant(scale, np.zeros(shape[axis], np.int64), axis)
            tensors.append(Tensor("w", shape, "int8", weight, random.integers(-127, 128, shape).astype(np.int8)))
            inputs.append(len(tensors) - 1)
            bias = Quant((scale * np.float32(0.05)).astype(np.float32), np.zeros(shape[axis], np.int64), 0)
            tensors.append(Tensor("b", (shape[axis],), "int32", bias, np.zeros(shape[axis], np.int32)))
        else:
            tensors.append(Tensor(f"x{i}", shape, "int8", quant))
            graph_inputs.append(len(tensors) - 1)
        inputs.append(len(tensors) - 1)
    for position, data in sorted((constants or {}).items()):
        tensors.append(Tensor(f"c{position}", data.shape, "int32", None, data))
        inputs.insert(position, len(tensors) - 1)
    fixed = {"SOFTMAX": (1 / 256, -128), "LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
    out = Quant.of(*fixed[kind]) if kind in fixed else quant
    op = Op(kind, tuple(inputs), (len(tensors),), attrs)
    shape = infer(Graph((*tensors, Tensor("y", (1,), "int8", out)), (op,), tuple(graph_inputs), op.outputs), op)[0]
    return Graph((*tensors, Tensor("y", shape, "int8", out)), (op,), tuple(graph_inputs), op.outputs)


def layers(count: int = 64) -> Iterator[Graph]:
    """Layers of the shapes that small networks have, log-uniform in their channels; the same ones every time."""
    random = np.random.default_rng(1)

    def channels(low: int = 1, high: int = 64) -> int:
        return int(round(np.exp(random.uniform(np.log(low), np.log(high)))))

    for n in range(count):
        size, k = int(random.choice([4, 5, 8, 10, 16])), int(random.choice([3, 3, 3, 1, 5]))
        stride = int(random.choice([1, 1, 2]))
        window = {"stride_h": stride, "stride_w": stride, "dilation_h": 1, "dilation_w": 1, "activation": "RELU",
                  "padding": "SAME" if random.random() < 0.7 else "VALID"}
        k = min(k, size)
        yield one_op("CONV_2D", [(1, size, size, c := channels()), (channels(2), k, k, c)], window)
        if n % 2:
            yield one_op("CONV_2D", [(1, size, size, c := channels()), (channels(2), 1, 1, c)],
                         {**window, "stride_h": 1, "stride_w": 1})
            k = max(k, 3)
            yield one_op("DEPTHWISE_CONV_2D", [(1, size + 1, size + 1, c := channels(2)), (1, k, k, c)],
                         {**window, "depth_multiplier": 1})
        if n % 4 == 0:
            plain = {"activation": "NONE"}
            yield one_op("FULLY_CONNECTED", [(1, c := channels(4, 256)), (channels(2), c)], {**plain, "keep_dims": False})
            shape = (1, size, size, channels(2))
            yield one_op("ADD", [shape, shape], {"activation": "RELU"})
            yield one_op("MUL", [shape, shape], plain)
            pool = {"filter_h": 2, "filter_w": 2, "stride_h": 2, "stride_w": 2, "padding": "VALID", **plain}
            yield one_op("AVERAGE_POOL_2D", [shape], pool)
            yield one_op("MAX_POOL_2D", [shape], pool)
            yield one_op("MEAN", [shape], {"keep_dims": False}, {1: np.array([1, 2], np.int32)})
            yield one_op("LOGISTIC", [shape], {})
            yield one_op("SOFTMAX", [(1, channels(2, 40))], {"beta": 1.0})
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
    prices = _least_squares(features[train] / counts[train, None])
    test = held if held.any() else train
    return prices, float(np.abs(features[test] @ prices / counts[test] - 1).mean() * 100)


def _least_squares(relative: np.ndarray) -> np.ndarray:
    """Non-negative prices with relative @ prices = 1, by coordinate descent on the normal equations."""
    scale = np.maximum(relative.max(axis=0), 1e-30)
    a = relative / scale
    gram, target = a.T @ a, a.sum(axis=0)
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
             "# Written by python -m mcunas.cost.fit; instructions per unit of work (mcunas/cost/features.py) per kernel.",
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
