# SPDX-License-Identifier: Apache-2.0
"""Lowering of pools, MEAN and SOFTMAX."""
from __future__ import annotations

from itertools import groupby
from math import prod
from typing import Any

from mcunas.compiler.lower import KernelCall, Overlap, lowers
from mcunas.compiler.lower.window import halfwords, image_calls
from mcunas.errors import InputError
from mcunas.graph import integer_params
from mcunas.graph.ir import Graph, Op

_LOOPS = 3                      # nested loops per kind of axis in mn_mean_s8: enough for 6 dimensions
_MAX_MEAN_COUNT = 1 << 23       # more int8 values can leave the int32 sum


@lowers("AVERAGE_POOL_2D", "MAX_POOL_2D")
def pool(graph: Graph, op: Op) -> list[KernelCall]:
    """`macs` counts the values looked at; 0 for MAX_POOL_2D, which adds nothing."""
    x, y = graph.tensors[op.inputs[0]].shape, graph.tensors[op.outputs[0]].shape
    win, (low, high) = integer_params.sliding_window(graph, op), integer_params.pool_range(graph, op)
    params = {"low": low, "high": high, **halfwords(graph, op, channels=x[3])}
    if op.kind == "MAX_POOL_2D":
        return image_calls(graph, op, "mn_max_pool_s8", params, win, 0, by_channel=True)
    return image_calls(graph, op, "mn_average_pool_s8", params, win, prod(y) * prod(win.kernel), by_channel=True)


@lowers("MEAN")
def mean(graph: Graph, op: Op) -> list[KernelCall]:
    """Neighbouring axes that both stay or both go are merged: at most three of each kind remain.

    Means are computed in the order of their first values and never lie behind them, so the output may start where the
    input does.
    """
    p = integer_params.mean(graph, op)
    if p.count > _MAX_MEAN_COUNT:
        raise InputError(f"a mean over {p.count} values, the kernel takes up to {_MAX_MEAN_COUNT}", where="MEAN")
    params = {**mean_loops(graph, op, p.axes), "offset": -p.input_zero_point * p.count, "multiplier": p.multiplier,
              "shift": p.shift, "output_zero_point": p.output_zero_point}
    return [KernelCall("mn_mean_s8", params, (op.inputs[0],), op.outputs, macs=graph.tensors[op.inputs[0]].elements,
                       overlap=(Overlap(0),))]


def mean_loops(graph: Graph, op: Op, reduced_axes: tuple[int, ...]) -> dict[str, Any]:
    """The members of a mean's struct that say what is summed."""
    shape, loops = graph.tensors[op.inputs[0]].shape, {False: [], True: []}
    axes = [a for a in range(len(shape)) if shape[a] > 1]
    for reduced, run in groupby(axes, lambda a: a in reduced_axes):
        members = list(run)
        loops[reduced].append((prod(shape[a] for a in members), prod(shape[members[-1] + 1:])))
    keep, reduce = ([(1, 0)] * (_LOOPS - len(found)) + found for found in (loops[False], loops[True]))
    return {"keep": tuple(n for n, _ in keep), "keep_stride": tuple(s for _, s in keep),
            "reduce": tuple(n for n, _ in reduce), "reduce_stride": tuple(s for _, s in reduce)}


@lowers("SOFTMAX")
def softmax(graph: Graph, op: Op) -> list[KernelCall]:
    """In place: a row is read for its sum before its first byte is written."""
    p, shape = integer_params.softmax(graph, op), graph.tensors[op.inputs[0]].shape
    params = {"rows": prod(shape[:-1]), "depth": shape[-1], "multiplier": p.multiplier, "shift": p.shift,
              "diff_min": p.diff_min}
    return [KernelCall("mn_softmax_s8", params, op.inputs, op.outputs, overlap=(Overlap(0),))]
