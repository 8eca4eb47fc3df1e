# SPDX-License-Identifier: Apache-2.0
"""All passes in order, repeated until none finds anything: each may open the way for another.

Folding constants and views first shows the later passes plain chains; clamps and paddings next, so that ranges are
tight; then dead channels. Every pass keeps every byte of every graph output, for every input.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from mcunas.compiler.passes.borders import int8_borders
from mcunas.compiler.passes.constant_arithmetic import constant_arithmetic
from mcunas.compiler.passes.constant_folding import constant_folding
from mcunas.compiler.passes.constant_tensors import constant_tensors
from mcunas.compiler.passes.dead_channels import dead_channels
from mcunas.compiler.passes.figures import PassNote, notes
from mcunas.compiler.passes.fuse_activation import fuse_activation
from mcunas.compiler.passes.pad_folding import pad_folding
from mcunas.compiler.passes.views import views
from mcunas.errors import InputError
from mcunas.graph.ir import Graph

DEAD_CHANNELS = "dead channels"
PASSES: dict[str, Callable[[Graph], Graph]] = {
    "constant folding": constant_folding, "views": views, "pad folding": pad_folding,
    "fused activations": fuse_activation, "constant arithmetic": constant_arithmetic,
    "constant tensors": constant_tensors, DEAD_CHANNELS: dead_channels,
}


class Optimized(NamedTuple):
    """The rewritten graph, and what each pass did to it, in order."""

    graph: Graph
    notes: tuple[PassNote, ...]


def optimize(graph: Graph, borders: str = "keep", grain: int = 1) -> Optimized:
    """`graph` (verified) with every pass applied to a fixed point.

    borders: "keep", or "int8" to take QUANTIZE and DEQUANTIZE off the model's inputs and outputs (its interface
    changes). Raises InputError for any other. grain: of `dead_channels`.
    """
    if borders not in ("keep", "int8"):
        raise InputError(f"unknown borders {borders!r}", fix="use keep or int8")
    found: list[PassNote] = []
    for name, before, after in changes(graph, borders, grain):
        found += notes(name, before, after)
        graph = after
    return Optimized(graph, tuple(found))


def changes(graph: Graph, borders: str = "keep", grain: int = 1) -> Iterator[tuple[str, Graph, Graph]]:
    """(pass, the graph before, after) wherever a pass changes something, in order; `borders`, `grain` as in `optimize`."""
    steps: dict[str, Callable[[Graph], Graph]] = {**PASSES, DEAD_CHANNELS: partial(dead_channels, grain=grain)}
    if borders == "int8":
        steps = {"int8 borders": int8_borders, **steps}
    last = None
    while last is not graph:
        last = graph
        for name, step in steps.items():
            before, graph = graph, step(graph)
            if graph is not before:
                yield name, before, graph
