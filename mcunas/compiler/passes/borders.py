# SPDX-License-Identifier: Apache-2.0
"""Borders in int8: QUANTIZE behind a graph input and DEQUANTIZE (or a QUANTIZE to uint8) before an output taken out.

This changes the model's interface (the caller then scales by the border tensors' quantization itself), so it is only
done on request. The tensors at the border keep their names.
"""
from __future__ import annotations

from dataclasses import replace

from mcunas.compiler.passes.rewrite import compact
from mcunas.graph.ir import Graph


def int8_borders(graph: Graph) -> Graph:
    """The graph with int8 inputs and outputs wherever only a change of type stood at the border."""
    makers, readers = graph.producer(), graph.consumers()
    tensors, ops, inputs, outputs = list(graph.tensors), list(graph.ops), list(graph.inputs), list(graph.outputs)
    for k, t in enumerate(graph.inputs):
        if t in graph.outputs or graph.tensors[t].dtype == "int8" or len(readers.get(t, [])) != 1:
            continue
        op = graph.ops[readers[t][0]]
        result = op.outputs[0]
        if op.kind == "QUANTIZE" and graph.tensors[result].dtype == "int8" and result not in graph.outputs:
            tensors[result] = replace(tensors[result], name=tensors[t].name)
            inputs[k] = result
            ops.remove(op)
    for k, t in enumerate(graph.outputs):
        if graph.tensors[t].dtype == "int8" or t in readers or graph.outputs.count(t) != 1 or t not in makers:
            continue
        op = graph.ops[makers[t]]
        source = op.inputs[0]
        if (op.kind in ("DEQUANTIZE", "QUANTIZE") and graph.tensors[source].dtype == "int8" and source in makers
                and source not in (*inputs, *outputs)):
            tensors[source] = replace(tensors[source], name=tensors[t].name)
            outputs[k] = source
            ops.remove(op)
    if len(ops) == len(graph.ops):
        return graph
    return compact(graph.with_(tensors=tuple(tensors), ops=tuple(ops), inputs=tuple(inputs), outputs=tuple(outputs)))
