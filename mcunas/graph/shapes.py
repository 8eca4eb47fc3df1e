# SPDX-License-Identifier: Apache-2.0
"""Shape inference: the output shapes that an op must have, from its inputs (NHWC) and attributes.

The arithmetic is TFLite's: SAME rounds up, VALID drops the remainder; SAME's padding puts the odd pixel behind.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from mcunas.graph.ir import Graph, Op

Shape = tuple[int, ...]


def window(size: int, kernel: int, stride: int, dilation: int, padding: str | tuple[int, int]) -> tuple[int, int]:
    """(output size, leading padding) of one spatial axis. TFLite: ComputeOutSize and ComputePadding.

    padding: "SAME", "VALID", or the pixels (before, after).
    """
    reach = (kernel - 1) * dilation + 1
    if padding == "SAME":
        out = -(-size // stride)
        return out, max(0, (out - 1) * stride + reach - size) // 2
    before, after = (0, 0) if isinstance(padding, str) else padding
    return (size + before + after - reach) // stride + 1, before


def axis_padding(attrs: Mapping[str, Any], axis: int) -> str | tuple[int, int]:
    """The padding of rows (axis 0) or columns (1), as `window` takes it."""
    padding = attrs["padding"]
    return padding if isinstance(padding, str) else padding[axis]


def broadcast(a: Shape, b: Shape) -> Shape:
    """Numpy's rule. Raises ValueError."""
    rank = max(len(a), len(b))
    left, right = (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b
    if any(x != y and 1 not in (x, y) for x, y in zip(left, right)):
        raise ValueError(f"shapes {a} and {b} do not broadcast")
    return tuple(y if x == 1 else x for x, y in zip(left, right))


def squeezed_axes(before: Shape, after: Shape) -> list[int]:
    """The axes of 1 that SQUEEZE takes out. Raises ValueError when `after` is not such a shape."""
    dropped: list[int] = []
    for axis, size in enumerate(before):
        kept = axis - len(dropped)
        if size == 1 and (kept >= len(after) or after[kept] != 1):
            dropped.append(axis)
    if tuple(d for i, d in enumerate(before) if i not in dropped) != after:
        raise ValueError(f"the output has shape {after}, which is not {before} with axes of 1 taken out")
    return dropped


def slice_ranges(graph: Graph, op: Op) -> list[tuple[int, int, int, bool]]:
    """STRIDED_SLICE: (begin, step, count, keep axis) per input axis, masks and negative indices resolved."""
    shape = graph.tensors[op.inputs[0]].shape
    begin, end, step = ([int(v) for v in graph.tensors[i].data.reshape(-1)] for i in op.inputs[1:4])
    if op.attrs["ellipsis_mask"] or op.attrs["new_axis_mask"]:
        raise ValueError("ellipsis and new-axis masks are not supported")
    if len(begin) != len(shape) or len(end) != len(shape) or len(step) != len(shape):
        raise ValueError(f"begin, end and strides must have {len(shape)} entries each")
    ranges = []
    for axis, size in enumerate(shape):
        if step[axis] == 0:
            raise ValueError("a stride of 0")
        b = None if op.attrs["begin_mask"] >> axis & 1 else begin[axis]
        if op.attrs["shrink_axis_mask"] >> axis & 1:
            start = begin[axis] + (size if begin[axis] < 0 else 0)
            if not 0 <= start < size:
                raise ValueError(f"index {begin[axis]} is outside an axis of {size}")
            ranges.append((start, 1, 1, False))
            continue
        e = None if op.attrs["end_mask"] >> axis & 1 else end[axis]
        positions = range(size)[slice(b, e, step[axis])]
        if not positions:
            raise ValueError(f"an empty slice on axis {axis}")
        ranges.append((positions.start, positions.step, len(positions), True))
    return ranges


def _conv(graph: Graph, op: Op) -> list[Shape]:
    x, w = graph.tensors[op.inputs[0]].shape, graph.tensors[op.inputs[1]].shape
    if len(x) != 4 or len(w) != 4:
        raise ValueError(f"input and weights must have 4 dimensions, not {x} and {w}")
    a = op.attrs
    depthwise = op.kind == "DEPTHWISE_CONV_2D"
    if depthwise:
        if w[0] != 1 or w[3] != x[3] * a["depth_multiplier"]:
            raise ValueError(f"weights {w} do not fit {x[3]} channels times {a['depth_multiplier']}")
    elif w[3] == 0 or x[3] % w[3] or w[0] % (x[3] // w[3]):
        raise ValueError(f"weights {w} do not fit {x[3]} input channels")
    out_h, _ = window(x[1], w[1], a["stride_h"], a["dilation_h"], axis_padding(a, 0))
    out_w, _ = window(x[2], w[2], a["stride_w"], a["dilation_w"], axis_padding(a, 1))
    return [(x[0], out_h, out_w, w[3] if depthwise else w[0])]


def _pool(graph: Graph, op: Op) -> list[Shape]:
    n, h, w, c = graph.tensors[op.inputs[0]].shape
    a = op.attrs
    return [(n, window(h, a["filter_h"], a["stride_h"], 1, axis_padding(a, 0))[0],
             window(w, a["filter_w"], a["stride_w"], 1, axis_padding(a, 1))[0], c)]


def _fully_connected(graph: Graph, op: Op) -> list[Shape]:
    x, w = graph.tensors[op.inputs[0]].shape, graph.tensors[op.inputs[1]].shape
    if len(w) != 2 or prod(x) % w[1]:
        raise ValueError(f"weights {w} do not fit an input of shape {x}")
    if op.attrs["keep_dims"]:
        if x[-1] != w[1]:
            raise ValueError(f"weights {w} do not fit an input of shape {x}")
        return [(*x[:-1], w[0])]
    return [(prod(x) // w[1], w[0])]


def _transpose_conv(graph: Graph, op: Op) -> list[Shape]:
    out = tuple(int(v) for v in graph.tensors[op.inputs[0]].data.reshape(-1))
    w, x = graph.tensors[op.inputs[1]].shape, graph.tensors[op.inputs[2]].shape
    if len(x) != 4 or len(w) != 4 or len(out) != 4 or w[3] != x[3] or w[0] != out[3] or x[0] != out[0]:
        raise ValueError(f"weights {w} and output shape {out} do not fit an input of shape {x}")
    a = op.attrs
    for axis, name in ((1, "stride_h"), (2, "stride_w")):
        if window(out[axis], w[axis], a[name], 1, a["padding"])[0] != x[axis]:
            raise ValueError(f"output shape {out} does not belong to an input of shape {x}")
    return [out]


def _concatenation(graph: Graph, op: Op) -> list[Shape]:
    shapes = [graph.tensors[t].shape for t in op.inputs]
    axis = op.attrs["axis"] % len(shapes[0])
    rest = {(len(s), s[:axis], s[axis + 1:]) for s in shapes}
    if len(rest) != 1:
        raise ValueError(f"inputs of shapes {shapes} do not concatenate on axis {axis}")
    return [(*shapes[0][:axis], sum(s[axis] for s in shapes), *shapes[0][axis + 1:])]


def _pad(graph: Graph, op: Op) -> list[Shape]:
    shape = graph.tensors[op.inputs[0]].shape
    pads = graph.tensors[op.inputs[1]].data
    if pads.shape != (len(shape), 2) or (pads < 0).any():
        raise ValueError(f"paddings {pads.tolist()} do not fit a shape of {shape}")
    return [tuple(s + int(p.sum()) for s, p in zip(shape, pads))]


def _mean(graph: Graph, op: Op) -> list[Shape]:
    shape = graph.tensors[op.inputs[0]].shape
    axes = {int(a) % len(shape) for a in graph.tensors[op.inputs[1]].data.reshape(-1)}
    keep = op.attrs["keep_dims"]
    return [tuple(1 if i in axes else s for i, s in enumerate(shape) if keep or i not in axes)]


def _transpose(graph: Graph, op: Op) -> list[Shape]:
    shape = graph.tensors[op.inputs[0]].shape
    perm = [int(p) for p in graph.tensors[op.inputs[1]].data.reshape(-1)]
    if sorted(perm) != list(range(len(shape))):
        raise ValueError(f"{perm} is not a permutation of {len(shape)} axes")
    return [tuple(shape[p] for p in perm)]


def _split(graph: Graph, op: Op) -> list[Shape]:
    shape = graph.tensors[op.inputs[1]].shape
    axis = int(graph.tensors[op.inputs[0]].data.reshape(-1)[0]) % len(shape)
    parts = op.attrs["num_splits"]
    if parts != len(op.outputs) or parts == 0 or shape[axis] % parts:
        raise ValueError(f"an axis of {shape[axis]} does not split into {parts} outputs")
    return [(*shape[:axis], shape[axis] // parts, *shape[axis + 1:])] * parts


def _resize(graph: Graph, op: Op) -> list[Shape]:
    n, _, _, c = graph.tensors[op.inputs[0]].shape
    h, w = (int(v) for v in graph.tensors[op.inputs[1]].data.reshape(-1))
    return [(n, h, w, c)]


def _depth_to_space(graph: Graph, op: Op) -> list[Shape]:
    n, h, w, c = graph.tensors[op.inputs[0]].shape
    b = op.attrs["block_size"]
    if b < 1 or c % (b * b):
        raise ValueError(f"{c} channels do not divide by a block of {b} x {b}")
    return [(n, h * b, w * b, c // (b * b))]


def _same(graph: Graph, op: Op) -> list[Shape]:
    return [graph.tensors[op.inputs[0]].shape]


def _broadcasting(graph: Graph, op: Op) -> list[Shape]:
    return [broadcast(*(graph.tensors[t].shape for t in op.inputs))]


def _strided_slice(graph: Graph, op: Op) -> list[Shape]:
    return [tuple(count for _, _, count, keep in slice_ranges(graph, op) if keep)]


def _reshaped(graph: Graph, op: Op) -> list[Shape]:
    """RESHAPE and its kin keep the element count; the output tensor's own shape decides."""
    before, after = graph.tensors[op.inputs[0]].shape, graph.tensors[op.outputs[0]].shape
    if prod(before) != prod(after):
        raise ValueError(f"{before} and {after} differ in elements")
    return [after]


_RULES: dict[str, Callable[[Graph, Op], list[Shape]]] = {
    "CONV_2D": _conv, "DEPTHWISE_CONV_2D": _conv, "FULLY_CONNECTED": _fully_connected,
    "TRANSPOSE_CONV": _transpose_conv, "ADD": _broadcasting, "SUB": _broadcasting, "MUL": _broadcasting,
    "MAXIMUM": _broadcasting, "MINIMUM": _broadcasting, "CONCATENATION": _concatenation, "PAD": _pad,
    "AVERAGE_POOL_2D": _pool, "MAX_POOL_2D": _pool, "MEAN": _mean, "RESHAPE": _reshaped, "SQUEEZE": _reshaped,
    "EXPAND_DIMS": _reshaped, "TRANSPOSE": _transpose, "STRIDED_SLICE": _strided_slice, "SPLIT": _split,
    "RESIZE_NEAREST_NEIGHBOR": _resize, "RESIZE_BILINEAR": _resize, "DEPTH_TO_SPACE": _depth_to_space,
}


def infer(graph: Graph, op: Op) -> list[Shape]:
    """Shapes that `op` produces. Raises ValueError when its inputs do not fit it."""
    return _RULES.get(op.kind, _same)(graph, op)
