# SPDX-License-Identifier: Apache-2.0
"""RESIZE ops: nearest neighbour through index tables (16 bits a row or column), bilinear computed on the target."""
from __future__ import annotations

from typing import Any

import numpy as np

from mcunas.compiler.lower import KernelCall, Table, lowers
from mcunas.graph.ir import ITEM_BYTES, Graph, Op
from mcunas.graph.resize_params import bilinear_axis, nearest_sources


def _sizes(graph: Graph, op: Op) -> dict[str, Any]:
    n, in_h, in_w, depth = graph.tensors[op.inputs[0]].shape
    _, out_h, out_w, _ = graph.tensors[op.outputs[0]].shape
    return {"batches": n, "in_h": in_h, "in_w": in_w, "out_h": out_h, "out_w": out_w, "depth": depth}


@lowers("RESIZE_NEAREST_NEIGHBOR", of_any_size=True)
def _nearest(graph: Graph, op: Op) -> list[KernelCall]:
    sizes = _sizes(graph, op)
    rows, columns = (nearest_sources(op, sizes[f"in_{a}"], sizes[f"out_{a}"]).astype(np.uint16) for a in "hw")
    tables = {"rows": Table("uint16_t", rows, "table"), "columns": Table("uint16_t", columns, "table")}
    sizes["depth"] *= ITEM_BYTES[graph.tensors[op.outputs[0]].dtype]         # it copies bytes
    return [KernelCall("mn_resize_nearest_s8", sizes | tables, op.inputs[:1], op.outputs)]


@lowers("RESIZE_BILINEAR")
def _bilinear(graph: Graph, op: Op) -> list[KernelCall]:
    params = _sizes(graph, op)
    for a in "hw":
        axis = bilinear_axis(op, params[f"in_{a}"], params[f"out_{a}"])
        params |= {f"step_{a}": axis.step, f"start_{a}": axis.start}
    return [KernelCall("mn_resize_bilinear_s8", params, op.inputs[:1], op.outputs)]
