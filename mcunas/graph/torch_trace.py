# SPDX-License-Identifier: Apache-2.0
"""torch.fx traces with every shape known, in the one form that the lowering and the channel groups read."""
from __future__ import annotations

import math

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from mcunas.errors import InputError

RESHAPES = ("view", "reshape", torch.reshape)


def shape_of(node: fx.Node) -> tuple[int, ...]:
    """The node's torch shape, from shape propagation."""
    return tuple(int(d) for d in node.meta["tensor_meta"].shape)


def trace(module: nn.Module, example: torch.Tensor) -> fx.GraphModule:
    """Trace with torch.fx and record every shape. The module is traced as it is; put it in eval mode first."""
    try:
        traced = module if isinstance(module, fx.GraphModule) else fx.symbolic_trace(module)
        for node in traced.graph.find_nodes(op="call_method", target="view"):
            node.target = "reshape"         # the same, however values lie in memory
        traced.recompile()
        with torch.no_grad():
            ShapeProp(traced).propagate(example)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"torch.fx cannot trace it ({type(error).__name__}: {error})", where=type(module).__name__,
                         fix="remove control flow that depends on tensor values") from error
    _flatten_plainly(traced)
    return traced


def _flatten_plainly(traced: fx.GraphModule) -> None:
    """x.view(x.size(0), -1) and its like become torch.flatten(x, 1); sizes that nobody reads then are dropped.

    One with its length written out stays as it is, because no other width would run.
    """
    for node in list(traced.graph.nodes):
        if node.target in RESHAPES and not written_length(node):
            source = shape_of(node.args[0])
            if len(source) == 4 and shape_of(node) == (source[0], math.prod(source[1:])):
                with traced.graph.inserting_before(node):
                    plain = traced.graph.call_function(torch.flatten, (node.args[0], 1))
                plain.meta = node.meta
                node.replace_all_uses_with(plain)
                traced.graph.erase_node(node)
    for node in reversed(traced.graph.nodes):
        if is_number(node) and not node.users:
            traced.graph.erase_node(node)
    traced.recompile()


def is_number(node: fx.Node) -> bool:
    """Does the node compute a size or the like, and no tensor?"""
    return node.op in ("call_function", "call_method") and "tensor_meta" not in node.meta


def written_length(node: fx.Node) -> bool:
    """Does a reshape to two dimensions say its second one as a number?"""
    sizes = node.args[1] if len(node.args) == 2 and isinstance(node.args[1], (tuple, list)) else node.args[1:]
    return len(sizes) != 2 or isinstance(sizes[1], int) and sizes[1] != -1
