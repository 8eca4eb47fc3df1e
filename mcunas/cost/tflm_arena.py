# SPDX-License-Identifier: Apache-2.0
"""The arena that TensorFlow Lite Micro with CMSIS-NN would need for a Graph: the peer's RAM, computed without building it.

Head: every activation and every kernel's scratch, 16-byte aligned, placed by TFLM's greedy planner: largest first
(equal sizes: the later one first), each at the lowest gap between buffers that live at the same time. Inputs and
outputs of an op live together. Tail: what stays allocated beside it: structs per node and tensor, 8 bytes of
requantization per convolution channel. pruning-methods.md section 1.4; struct sizes are those of a 32-bit core whose
ABI packs enumerations into bytes, at tflite-micro 90b983c2.
"""
from __future__ import annotations

from dataclasses import dataclass
from math import prod

from mcunas.graph.integer_params import sliding_window
from mcunas.graph.ir import Graph, Op

ALIGN_BYTES = 16
NODE_BYTES, TENSOR_BYTES, HANDLE_BYTES = 32, 12, 4      # NodeAndRegistration, TfLiteEvalTensor, ScratchBufferHandle
IO_BYTES = 52                                           # persistent TfLiteTensor of a graph input or output
FIXED_BYTES = 160                                       # allocators, planner, context
_DEPTHWISE_BLOCK = 124                                  # channels that the vector kernel gathers at once
# op kind -> (builtin data, op data) in bytes
_OP_BYTES = {"CONV_2D": (28, 60), "DEPTHWISE_CONV_2D": (28, 60), "FULLY_CONNECTED": (5, 72), "SOFTMAX": (4, 64),
             "AVERAGE_POOL_2D": (40, 36), "MAX_POOL_2D": (40, 36), "ADD": (2, 60), "SUB": (2, 60), "MUL": (1, 40),
             "RESHAPE": (36, 0), "PAD": (0, 52), "MEAN": (1, 56), "CONCATENATION": (8, 60), "TRANSPOSE_CONV": (20, 72)}
_OTHER_OP = (4, 32)
_SOFTMAX_TABLE_BYTES = 2 * 513                          # of int16, two of them


@dataclass(frozen=True)
class Arena:
    """Bytes: head_bytes is the plan of activations and scratch, tail_bytes what persists beside it."""

    head_bytes: int
    tail_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.head_bytes + self.tail_bytes


def tflm_arena(graph: Graph, isa: str = "dsp") -> Arena:
    """The arena of `graph` as its .tflite would run, before any pass of ours. isa: the board's instruction set."""
    scratch = [scratch_bytes(graph, op, isa) for op in graph.ops]
    first = {t: 0 for t in graph.inputs}
    last = dict(first)
    for step, op in enumerate(graph.ops, start=1):
        for t in op.outputs:
            first.setdefault(t, step)
            last[t] = step
        last.update((t, step) for t in op.inputs if t in first)
    last.update((t, len(graph.ops)) for t in graph.outputs)
    buffers = [(graph.tensors[t].size_bytes, first[t], last[t]) for t in sorted(first)]
    buffers += [(size, step, step) for step, size in enumerate(scratch, start=1) if size]
    tail = FIXED_BYTES + TENSOR_BYTES * len(graph.tensors) + IO_BYTES * len((*graph.inputs, *graph.outputs))
    tail += HANDLE_BYTES * sum(size > 0 for size in scratch) + sum(_node_bytes(graph, op, isa) for op in graph.ops)
    return Arena(greedy(buffers), tail)


def greedy(buffers: list[tuple[int, int, int]]) -> int:
    """Bytes that TFLM's planner needs for (size, first step, last step) buffers in the order it is told of them."""
    placed: list[tuple[int, int, int, int]] = []           # (offset, end, first, last) by offset
    high = 0
    for size, first, last in sorted(reversed(buffers), key=lambda b: -_up(b[0])):
        at, wanted = 0, _up(size)
        for low, end, _, _ in (p for p in placed if p[2] <= last and first <= p[3]):
            if low - at >= wanted:
                break
            at = max(at, end)
        placed.append((at, at + wanted, first, last))
        placed.sort(key=lambda p: p[0])
        high = max(high, at + wanted)
    return high


def scratch_bytes(graph: Graph, op: Op, isa: str) -> int:
    """What CMSIS-NN's kernel for an op asks for while it runs."""
    x = graph.tensors[op.inputs[0]].shape
    if op.kind == "MEAN":                                  # sums, and where the walk is
        out, axes = (graph.tensors[t].elements for t in (op.outputs[0], op.inputs[1]))
        return _up(4 * out) + _up(4 * len(x)) + _up(4 * axes)
    if graph.tensors[op.outputs[0]].dtype == "int16":
        return _wide_scratch_bytes(graph, op, isa)
    if op.kind == "CONV_2D":
        w, win = graph.tensors[op.inputs[1]].shape, sliding_window(graph, op)
        if w[1:3] == (1, 1) and win.pad == (0, 0) and w[3] == x[3]:
            return 0
        depth = prod(w[1:])
        return 4 * -(-depth // 16) * 16 if isa == "mve" else 4 * -(-depth // 4) * 4
    if op.kind == "DEPTHWISE_CONV_2D":
        w, win = graph.tensors[op.inputs[1]].shape, sliding_window(graph, op)
        if op.attrs["depth_multiplier"] != 1 or x[0] != 1 or win.dilation != (1, 1):
            return 0
        if isa == "mve":
            return 4 * _DEPTHWISE_BLOCK * w[1] * w[2] + (prod(w) if x[3] == 1 else 0)
        plain = w[1:3] == (3, 3) and max(win.pad) <= 1
        return 0 if plain or isa != "dsp" else 2 * x[3] * w[1] * w[2]
    if op.kind == "AVERAGE_POOL_2D":
        return 4 * x[3] if isa == "dsp" else 0
    return 0


def _wide_scratch_bytes(graph: Graph, op: Op, isa: str) -> int:
    """On int16 activations."""
    x, result = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    if op.kind == "TRANSPOSE_CONV":
        return 8 * result.elements                         # sums of the whole output
    if op.kind == "AVERAGE_POOL_2D":
        return 4 * x.shape[3] if isa == "dsp" else 0
    if op.kind == "CONV_2D":
        taps = prod(sliding_window(graph, op).kernel) * x.shape[3]
        return 64 * -(-taps // 8) if isa == "mve" else 4 * taps
    return 0                                               # depthwise layers have TFLM's reference kernel


def _node_bytes(graph: Graph, op: Op, isa: str) -> int:
    builtin, data = _OP_BYTES.get(op.kind, _OTHER_OP)
    total = NODE_BYTES + builtin + _up(data)
    if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"):
        channels = graph.tensors[op.outputs[0]].shape[3]
        total += 2 * _up(4 * channels)                     # multipliers and shifts, one int32 each
    elif op.kind == "SOFTMAX" and graph.tensors[op.outputs[0]].dtype == "int16":
        total += 2 * _up(_SOFTMAX_TABLE_BYTES)
    elif op.kind == "FULLY_CONNECTED":
        weights = graph.tensors[op.inputs[1]]
        if weights.quant is not None and not weights.quant.is_per_tensor:
            total += 2 * _up(4 * weights.shape[0])
        if isa == "mve" and graph.tensors[op.outputs[0]].dtype != "int16":
            total += _up(4 * weights.shape[0])             # weight sums, kept when kernels are optimized for speed
    return total


def _up(size_bytes: int) -> int:
    return -(-size_bytes // ALIGN_BYTES) * ALIGN_BYTES
