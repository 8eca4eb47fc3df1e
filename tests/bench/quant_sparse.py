# SPDX-License-Identifier: Apache-2.0
"""A stored form of unstructured sparsity, and plain C that computes with it: what it takes in bytes and instructions.

Per output channel the weights that are not zero, in order, each with a byte that says how far its input lies from the one
before; gaps beyond a byte are bridged by zeros. The window of a pixel is gathered, then every channel walks over its own
weights. The program runs the layers of a model one after another, so that their outputs can be compared, on a board's
emulated core.
"""
from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcunas.board import Board
from mcunas.device import build
from mcunas.device.run import connect
from mcunas.device.validate import instructions
from mcunas.graph import Graph, reference
from mcunas.graph.integer_params import bias_input, requant, sliding_window
from mcunas.graph.ir import Op
from tests.device.stubs import stub

PER_CHANNEL_BYTES = 2 + 4 + 4 + 1       # how many weights, bias, multiplier, shift
_GAP = 255
_INPUT_BYTES = 16       # of the program, which brings the layers' inputs itself

_CODE = """
#include <string.h>
#include "mn_math.h"
struct sparse {
  const int8_t *value; const uint8_t *gap; const uint16_t *count;
  const int32_t *bias, *multiplier; const int8_t *shift;
  int32_t in_h, in_w, in_c, out_h, out_w, out_c, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
  int32_t in_zero, out_zero, low, high;
};
static void gather(const struct sparse *p, const int8_t *in, int32_t y, int32_t x, int8_t *to) {
  for (int32_t ky = 0; ky < p->kernel_h; ky++)
    for (int32_t kx = 0; kx < p->kernel_w; kx++, to += p->in_c) {
      if (y + ky < 0 || y + ky >= p->in_h || x + kx < 0 || x + kx >= p->in_w)
        memset(to, p->in_zero, (size_t)p->in_c);
      else
        memcpy(to, in + ((y + ky) * p->in_w + x + kx) * p->in_c, (size_t)p->in_c);
    }
}
__attribute__((noinline)) static void sparse_layer(const struct sparse *p, const int8_t *in, int8_t *out, int8_t *window) {
  for (int32_t y = 0; y < p->out_h; y++)
    for (int32_t x = 0; x < p->out_w; x++) {
      const int8_t *value = p->value; const uint8_t *gap = p->gap;
      gather(p, in, y * p->stride_h - p->pad_h, x * p->stride_w - p->pad_w, window);
      for (int32_t c = 0; c < p->out_c; c++) {
        const int8_t *v = window; uint32_t sum = (uint32_t)p->bias[c];
        for (const int8_t *end = value + p->count[c]; value != end;) { v += *gap++; sum += (uint32_t)(*v * *value++); }
        *out++ = mn_requantize_s8(sum, p->multiplier[c], p->shift[c], p->out_zero, p->low, p->high);
      }
    }
}
"""


@dataclass(frozen=True, eq=False)
class Stored:
    """values, gaps: of all channels. counts: (channels,). size_bytes: of all of it with biases and requantization."""

    values: np.ndarray
    gaps: np.ndarray
    counts: np.ndarray

    @property
    def size_bytes(self) -> int:
        return self.values.size + self.gaps.size + self.counts.size * PER_CHANNEL_BYTES


def stored(weights: np.ndarray) -> Stored:
    """Of weights (channels, inputs), int8."""
    values, gaps, counts = [], [], []
    for row in weights:
        at, before = 0, len(values)
        for place in np.flatnonzero(row):
            gap = int(place) - at
            while gap > _GAP:
                values, gaps, gap = [*values, 0], [*gaps, _GAP], gap - _GAP
            values.append(int(row[place]))
            gaps.append(gap)
            at = int(place)
        counts.append(len(values) - before)
    return Stored(np.array(values, np.int8), np.array(gaps, np.uint8), np.array(counts, np.uint16))


def rows_of(graph: Graph, op: Op) -> np.ndarray:
    """int8 (channels, inputs of a window); a depthwise channel reads one input of each pixel."""
    weights = graph.tensors[op.inputs[1]].data
    if op.kind != "DEPTHWISE_CONV_2D":
        return weights.reshape(weights.shape[0], -1)
    taps = weights.reshape(-1, weights.shape[3])
    rows = np.zeros((taps.shape[1], *taps.shape), np.int8)
    for c in range(taps.shape[1]):
        rows[c, :, c] = taps[:, c]
    return rows.reshape(taps.shape[1], -1)


def layers(graph: Graph) -> list[Op]:
    return [op for op in graph.ops if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")]


def size_bytes(graph: Graph) -> int:
    return sum(stored(rows_of(graph, op)).size_bytes for op in layers(graph))


def executed(graph: Graph, board: Board, image: np.ndarray) -> tuple[int, bool]:
    """(instructions of all layers with weights on one image, whether the sums of their output bytes are the reference's)."""
    values = reference.run(graph, [image])
    tables, calls, most = [], [], 0
    for n, op in enumerate(layers(graph)):
        x, y = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
        tables.append(_layer(graph, op, n))
        calls.append(f"memcpy(in, x{n}, sizeof x{n}); sparse_layer(&p{n}, in, out, window);"
                     f" for (uint32_t i = 0; i < {y.elements}u; i++) sum += (uint8_t)out[i];")
        tables.append(_array("int8_t", f"x{n}", values[op.inputs[0]]))
        most = max(most, x.elements, y.elements, rows_of(graph, op).shape[1])
    expected = sum(int(values[op.outputs[0]].view(np.uint8).astype(np.int64).sum()) for op in layers(graph)) & 0xFFFFFFFF
    room = -(-most // 16) * 16
    arena = 3 * room + 32
    body = (f"int8_t *in = (int8_t *)arena, *out = in + {room}, *window = out + {room}; uint32_t sum = 0;\n"
            + "\n".join(calls) + f"\nmemcpy(arena + {arena} - 16, &sum, 4);")
    both = [_counted(body, tables, arena, board)]
    # Copies of inputs and the sums of outputs belong to the check alone.
    bare = body.replace("sparse_layer(&p", "if (arena == 0) sparse_layer(&p")
    both.append(_counted(bare, tables, arena, board))
    (whole, found), (around, _) = both
    return whole - around, found == expected


def _counted(body: str, tables: Sequence[str], arena_bytes: int, board: Board) -> tuple[int, int]:
    """(instructions, the sum that the program left)."""
    program = stub(body, _CODE + "\n".join(tables), arena_bytes=arena_bytes, input_bytes=_INPUT_BYTES)
    program.manifest["inputs"] = [{"name": "in", "shape": [1, _INPUT_BYTES], "dtype": "int8", "bytes": _INPUT_BYTES}]
    with tempfile.TemporaryDirectory() as folder:
        image = build(program, board, folder)           # type: ignore[arg-type]
        with connect(image) as link:
            count = instructions(link, image, [np.zeros((1, _INPUT_BYTES), np.int8)])
            link.infer()
            return count, int(np.frombuffer(bytes(link.output()), np.uint32)[0])


def _layer(graph: Graph, op: Op, n: int) -> str:
    x, y, p = graph.tensors[op.inputs[0]].shape, graph.tensors[op.outputs[0]].shape, requant(graph, op)
    rows, kernel, stride, pad = rows_of(graph, op), (1, 1), (1, 1), (0, 0)
    if op.kind == "FULLY_CONNECTED":
        x, y = (1, 1, 1, rows.shape[1]), (1, 1, 1, rows.shape[0])
    else:
        window = sliding_window(graph, op)
        kernel, stride, pad = window.kernel, window.stride, window.pad
    found, channels = stored(rows), rows.shape[0]
    plain = graph.tensors[bias_input(op)].data.astype(np.int64) if bias_input(op) >= 0 else np.zeros(channels, np.int64)
    bias = plain - p.input_zero_point * rows.astype(np.int64).sum(axis=1)
    arrays = {"value": ("int8_t", found.values), "gap": ("uint8_t", found.gaps), "count": ("uint16_t", found.counts),
              "bias": ("int32_t", bias), "multiplier": ("int32_t", np.broadcast_to(p.multiplier, channels)),
              "shift": ("int8_t", np.broadcast_to(p.shift, channels))}
    text = "".join(_array(ctype, f"{name}{n}", values) for name, (ctype, values) in arrays.items())
    numbers = [*x[1:], *y[1:], *kernel, *stride, *pad, p.input_zero_point, p.output_zero_point, p.low, p.high]
    members = ", ".join([*(f"{name}{n}" for name in arrays), *map(str, map(int, numbers))])
    return f"{text}static const struct sparse p{n} = {{{members}}};\n"


def _array(ctype: str, name: str, values: np.ndarray) -> str:
    found = values.reshape(-1).tolist() or [0]
    return f"static const {ctype} {name}[] = {{{', '.join(map(str, found))}}};\n"
