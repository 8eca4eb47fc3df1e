# SPDX-License-Identifier: Apache-2.0
"""ADD and SUB for the vector extension, as a linear form."""
from __future__ import annotations

from math import prod

from mcunas.compiler.lower import KernelCall, Overlap, RowInput, Rows, lowers
from mcunas.compiler.lower.elementwise import row_of
from mcunas.compiler.lower.linear_form import linear_form
from mcunas.graph.elementwise_params import sum_params
from mcunas.graph.ir import Graph, Op


@lowers("ADD", "SUB", isa="mve")
def _sum(graph: Graph, op: Op) -> list[KernelCall] | None:
    shape = graph.tensors[op.outputs[0]].shape
    p = sum_params(graph, op)
    form = linear_form(p, 1 if op.kind == "ADD" else -1)
    if form is None or any(graph.tensors[t].shape != shape for t in op.inputs) or p.low > p.high:
        return None
    height, row = row_of(shape)
    count = prod(row)
    params = {"ring0": height, "ring1": height, "out_ring": height, "count": count, "factor0": form[0],
              "factor1": form[1], "constant": form[2], "shift": form[3], "low": p.low, "high": p.high}
    rows = Rows(height, count, tuple(RowInput(height, count, f"ring{k}") for k in (0, 1)))
    return [KernelCall("mn_add_s8_mve", params, op.inputs, op.outputs, rows=rows, overlap=(Overlap(0), Overlap(0)))]
