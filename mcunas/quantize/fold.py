# SPDX-License-Identifier: Apache-2.0
"""Batch-norm folding: a copy of a network in which each batch norm has become part of the layer before it."""
from __future__ import annotations

import copy

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def fold(net: nn.Module, example: torch.Tensor) -> fx.GraphModule:
    """Trace `net` (evaluation mode) and fold every batch norm that directly follows a convolution or linear layer.

    Batch norms elsewhere stay; the Graph reader names them. example: (1, C, H, W).
    """
    from mcunas.graph.torch_trace import trace

    traced = trace(copy.deepcopy(net).eval(), example)
    modules = dict(traced.named_modules())
    for node in list(traced.graph.nodes):
        if node.op != "call_module" or not isinstance(modules[node.target], _NORMS):
            continue
        source = node.args[0]
        layer = modules.get(source.target) if source.op == "call_module" else None
        if layer is None or len(source.users) != 1:
            continue
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            folded = fuse_conv_bn_eval(layer, modules[node.target], transpose=isinstance(layer, nn.ConvTranspose2d))
        elif isinstance(layer, nn.Linear):
            folded = fuse_linear_bn_eval(layer, modules[node.target])
        else:
            continue
        owner, _, name = source.target.rpartition(".")
        setattr(traced.get_submodule(owner), name, folded)
        node.replace_all_uses_with(source)
        traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()
    traced.recompile()
    return trace(traced, example)
