# SPDX-License-Identifier: Apache-2.0
"""PAD folded into the windows that read it: the padded copy of the tensor never exists.

PAD writes the zero point, which is what a convolution's own padding counts as, so CONV_2D and DEPTHWISE_CONV_2D take
any padding of rows and columns. A maximum ignores its padding, so MAX_POOL_2D takes it where no value can lie below the
zero point (behind a RELU) and so a padded pixel never wins. AVERAGE_POOL_2D counts PAD's pixels but not its own
padding: never exact. Where the result is what SAME or VALID means it is written so; other paddings become
((top, bottom), (left, right)), a form that only the compiler knows.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mcunas.compiler.passes.ranges import channel_ranges
from mcunas.compiler.passes.rewrite import compact
from mcunas.graph.integer_params import Window, sliding_window
from mcunas.graph.ir import Graph, Op
from mcunas.graph.shapes import window

Sides = tuple[tuple[int, int], tuple[int, int]]


def pad_folding(graph: Graph) -> Graph:
    """The graph without the PADs that all their readers can take over."""
    ops = folded_ops(graph)
    return graph if ops == graph.ops else compact(graph.with_(ops=ops))


def folded_ops(graph: Graph) -> tuple[Op, ...]:
    """The graph's ops without those PADs, on the tensors as they are numbered."""
    ops, readers = list(graph.ops), graph.consumers()
    ranges = None
    for pad in graph.ops:
        result = pad.outputs[0]
        if pad.kind != "PAD" or result in graph.outputs or len(graph.tensors[result].shape) != 4:
            continue
        amounts = graph.tensors[pad.inputs[1]].data
        if amounts[[0, 3]].any():
            continue
        ranges = ranges or channel_ranges(graph)
        never_below = pad.inputs[0] in ranges and bool(
            (ranges[pad.inputs[0]][0] >= graph.tensors[result].quant.per_tensor[1]).all())
        folded = {r: _folded(graph, pad, graph.ops[r], amounts.tolist()[1:3], never_below)
                  for r in readers.get(result, [])}
        if folded and all(op is not None for op in folded.values()):
            for r, op in folded.items():
                ops[r] = op
            ops[graph.ops.index(pad)] = None
    return tuple(op for op in ops if op is not None)


def _folded(graph: Graph, pad: Op, op: Op, amounts: list[list[int]], never_below: bool) -> Op | None:
    """`op` reading what `pad` reads; None when that would not give the same bytes."""
    if op.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D") and not (op.kind == "MAX_POOL_2D" and never_below):
        return None
    before = graph.tensors[pad.inputs[0]].shape[1:3]
    after = graph.tensors[op.outputs[0]].shape[1:3]
    w, sides = sliding_window(graph, op), []
    for axis in (0, 1):
        reach = (w.kernel[axis] - 1) * w.dilation[axis] + 1
        first = amounts[axis][0] + w.pad[axis]
        last = max(0, (after[axis] - 1) * w.stride[axis] + reach - before[axis] - first)
        if max(first, last) >= reach:               # a window would lie outside the input altogether
            return None
        sides.append((first, last))
    rows, columns = sides
    inputs = tuple(pad.inputs[0] if t == pad.outputs[0] else t for t in op.inputs)
    return replace(op, inputs=inputs, attrs={**op.attrs, "padding": padding_name(before, w, after, (rows, columns))})


def padding_name(before: Sequence[int], w: Window, after: Sequence[int], sides: Sides) -> str | Sides:
    """"SAME" or "VALID", where that means `sides` ((top, bottom), (left, right)); else `sides` themselves.

    before, after: rows and columns of input and output.
    """
    for name in ("VALID", "SAME"):              # VALID where both hold: it never looks for a border
        if all(window(before[a], w.kernel[a], w.stride[a], w.dilation[a], name) == (after[a], sides[a][0])
               for a in (0, 1)):
            return name
    return sides
