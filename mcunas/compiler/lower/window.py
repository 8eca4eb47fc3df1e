# SPDX-License-Identifier: Apache-2.0
"""What kernels that slide a window share: their struct members, rows, and the distance of output and input."""
from __future__ import annotations

from dataclasses import replace

from mcunas.compiler.lower import KernelCall, Overlap, RowInput, Rows
from mcunas.compiler.lower.overlap import window_overlap
from mcunas.compiler.lower.steps import Shape, steppable
from mcunas.errors import InputError
from mcunas.graph.integer_params import Window
from mcunas.graph.ir import ITEM_BYTES, Graph, Op

UINT16_MAX, _INT32_MAX = (1 << 16) - 1, (1 << 31) - 1


def halfwords(graph: Graph, op: Op, **fields: int) -> dict[str, int]:
    """Struct members of type uint16_t. Raises InputError for a value that has no room."""
    for name, value in fields.items():
        if not 0 <= value <= UINT16_MAX:
            raise InputError(f"{name} is {value}, the kernels take up to {UINT16_MAX}", where=_where(graph, op))
    return {name: int(value) for name, value in fields.items()}


def window_fields(graph: Graph, op: Op, w: Window) -> dict[str, int]:
    """Struct members that describe a sliding window without dilation."""
    _, rows, columns, channels = graph.tensors[op.outputs[0] if op.kind == "TRANSPOSE_CONV" else op.inputs[0]].shape
    reach = [(k - 1) * d + s for k, d, s in zip(w.kernel, w.dilation, w.stride)]
    if (rows + reach[0]) * (columns + reach[1]) * channels > _INT32_MAX:
        raise InputError(f"a window of {reach[0]} x {reach[1]} pixels is too large", where=_where(graph, op))
    return halfwords(graph, op, kernel_h=w.kernel[0], kernel_w=w.kernel[1], stride_h=w.stride[0],
                     stride_w=w.stride[1], pad_top=w.pad[0], pad_left=w.pad[1])


def _where(graph: Graph, op: Op) -> str:
    return f"{graph.name}: {graph.where(graph.ops.index(op))}"


def image_calls(graph: Graph, op: Op, kernel: str, params: dict, win: Window, macs: int,
                by_channel: bool, has_steps: bool = False) -> list[KernelCall]:
    """One call per image of the batch. macs: of the whole batch.

    by_channel: each output byte is written after the reads of its own channel and before those of the next. has_steps:
    the kernel's struct has in_step and out_step.
    """
    x, y = graph.tensors[op.inputs[0]].shape, graph.tensors[op.outputs[0]].shape
    params = {**params, **window_fields(graph, op, win),
              **halfwords(graph, op, in_ring=x[1], out_ring=y[1], in_h=x[1], in_w=x[2], out_w=y[2])}
    reach, item = (win.kernel[0] - 1) * win.dilation[0] + 1, ITEM_BYTES[graph.tensors[op.inputs[0]].dtype]

    def at(xs: Shape, ys: Shape) -> KernelCall:
        rows = Rows(y[1], y[2] * ys[3] * item, (RowInput(x[1], x[2] * xs[3] * item, "in_ring", win.stride[0], win.pad[0],
                                                         reach),))
        over = window_overlap(xs, ys, win, by_channel and (xs, ys) == (x, y))
        overlap = (Overlap(over.input_above * item, over.output_above * item),) if x[0] == 1 else ()
        steps = halfwords(graph, op, in_step=xs[3], out_step=ys[3]) if has_steps else {}
        return KernelCall(kernel, params | steps, op.inputs[:1], op.outputs, macs=macs // x[0], rows=rows, overlap=overlap,
                          images=x[0])

    if has_steps and x[0] == 1:
        return [steppable(at, x, y, reads_apart=True)]
    return [replace(at(x, y), image=k) for k in range(x[0])]
