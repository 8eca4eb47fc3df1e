# SPDX-License-Identifier: Apache-2.0
"""Cycles of TensorFlow Lite Micro with CMSIS-NN (and of vendors' engines) on real boards, from published measurements.

A layer's cycles are a sum of what CMSIS-NN's kernels do (pruning-methods.md section 1.4, Latency), each with a price
that ``python -m mcunas.cost.fit_silicon`` fitted to measured layers and whole networks:

macs            multiply-accumulates of a convolution in whole quads of the kernel's values
tail            multiply-accumulates of the values left over
outputs         requantized values
taps            values gathered and widened to 16 bits
positions       kernel positions copied: those on padding are only filled
point_macs      multiply-accumulates of a 1x1 convolution, which gathers nothing
point_block     those after the last block of 16 channels
point_outputs   requantized values of a 1x1 convolution
pixels          output pixels of a 1x1 convolution
depthwise_macs  multiply-accumulates of a depthwise convolution
dense_macs      multiply-accumulates of a fully connected layer
elements        values of an element-wise op
pooled          values that a pooling reads
exponents       values of a softmax
calls           layers
"""
from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcunas.compiler.features import FEATURES, op_features
from mcunas.errors import InputError
from mcunas.graph.ir import Graph
from mcunas.paths import boards_dir

if TYPE_CHECKING:
    from mcunas.board import Board

TERMS = ("macs", "tail", "outputs", "taps", "positions", "point_macs", "point_block", "point_outputs", "pixels",
         "depthwise_macs", "dense_macs", "elements", "pooled", "exponents", "calls")
_ELEMENTWISE = ("ADD", "SUB", "MUL")
_POOLS = ("AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN")
_RENAMES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")


def terms(kind: str, attrs: Mapping[str, Any], shapes: Sequence[tuple], out: tuple) -> tuple[float, ...]:
    """TERMS of one op. shapes: of its inputs, out: of its output; NHWC. An op of another kind counts as element-wise."""
    found = dict.fromkeys(TERMS, 0.0)
    found["calls"] = 1.0
    if kind == "CONV_2D":
        outputs, kh, kw, inputs = shapes[1]
        pixels, depth = out[1] * out[2], kh * kw * inputs
        if kh * kw == 1 and attrs["stride_h"] == attrs["stride_w"] == 1 and inputs % 4 == 0:
            found.update(point_macs=pixels * depth * outputs, point_block=pixels * (depth % 16) * outputs,
                         point_outputs=pixels * outputs, pixels=pixels)
        else:
            border = op_features(kind, attrs, shapes, out)[FEATURES.index("border")] / (inputs * outputs)
            found.update(macs=pixels * (depth - depth % 4) * outputs, tail=pixels * (depth % 4) * outputs,
                         outputs=pixels * outputs, taps=pixels * depth, positions=pixels * kh * kw - border)
    elif kind == "DEPTHWISE_CONV_2D":
        found["depthwise_macs"] = prod(out) * shapes[1][1] * shapes[1][2]
    elif kind == "FULLY_CONNECTED":
        found["dense_macs"] = prod(shapes[1]) * prod(out) / shapes[1][0]
    elif kind in _POOLS:
        found["pooled"] = prod(shapes[0])
    elif kind == "SOFTMAX":
        found["exponents"] = prod(out)
    elif kind not in _RENAMES:
        found["elements"] = prod(out)
    return tuple(float(v) for v in found.values())


def graph_terms(graph: Graph) -> tuple[float, ...]:
    """TERMS of a whole Graph as it is in the .tflite."""
    rows = [terms(op.kind, op.attrs, [graph.tensors[t].shape if t >= 0 else () for t in op.inputs],
                  graph.tensors[op.outputs[0]].shape) for op in graph.ops]
    return tuple(sum(column) for column in zip(*rows))


@dataclass(frozen=True)
class Engine:
    """Prices of one engine on one board. cycles: per TERMS. error_percent: the bar that is printed with every figure.

    basis: the board whose measured layers give the prices their proportions; data: what was fitted and how well.
    """

    name: str
    cycles: tuple[float, ...]
    error_percent: float
    basis: str
    data: str

    def price(self, graph: Graph) -> float:
        """Cycles of one inference."""
        return sum(p * t for p, t in zip(self.cycles, graph_terms(graph)))


@dataclass(frozen=True)
class Silicon:
    """boards/cost/silicon-<board>.toml: a real board that has been measured, engine by engine; TFLM-class first."""

    board: str
    core: str
    clock_hz: int
    engines: tuple[Engine, ...]


def tflm_engine(board: Board) -> tuple[Engine, str] | None:
    """(TFLM-class prices, where they come from) for a board: its own, else its core's; None where no board of that
    core has been measured."""
    found = [(s, e) for s in silicon_tables() for e in s.engines if e.name.startswith("TFLM")]
    own = [(s, e) for s, e in found if s.board.lower() == board.key]
    same = own or sorted(((s, e) for s, e in found if s.core == board.cost_table), key=lambda f: f[1].error_percent)
    if not same:
        return None
    table, engine = same[0]
    return engine, f"model (±{engine.error_percent:g} %) fitted to {table.board}: {engine.data}"


@lru_cache
def silicon_tables() -> tuple[Silicon, ...]:
    """Every measured board. Raises InputError when a file is damaged."""
    return tuple(_read(path) for path in sorted((boards_dir() / "cost").glob("silicon-*.toml")))


def _read(path: Path) -> Silicon:
    try:
        data = tomllib.loads(path.read_text())
        engines = tuple(Engine(e["name"], tuple(float(e["cycles"].get(t, 0)) for t in TERMS), float(e["error_percent"]),
                               e["basis"], e["data"]) for e in data["engine"])
        return Silicon(data["board"], data["core"], int(data["clock_hz"]), engines)
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"damaged cost table ({error!r})", where=str(path)) from None
