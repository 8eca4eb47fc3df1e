# SPDX-License-Identifier: Apache-2.0
"""Upgrade a network to C-Ghost: its convolutions make half of their channels, a depthwise one makes the others from those.

    net = mcunas.space.ghostify(net, example)       # to be trained on, at about 0.55 of the multiply-accumulates

A convolution is replaced together with the batch norm and the ReLU behind it, so that nothing stands behind the
concatenation; the first half of its weights stays. Whatever torch.fx can trace can be upgraded.
"""
from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import fx, nn

from mcunas.errors import InputError
from mcunas.graph.torch_lower import shape_of, trace

LEAST_SAVING = 0.25     # of a layer's multiply-accumulates; below it the layer stays
CHEAP_EXTENT = 3
_RELUS = {F.relu: nn.ReLU, torch.relu: nn.ReLU, "relu": nn.ReLU, F.relu6: nn.ReLU6}


class GhostConv(nn.Module):
    """conv's first half of channels, and as many more from those. norm, activation: as behind the convolution, or None."""

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d | None, activation: type[nn.Module] | None,
                 is_series: bool) -> None:
        super().__init__()
        half, has_bias = conv.out_channels // 2, conv.bias is not None
        first = nn.Conv2d(conv.in_channels, half, conv.kernel_size, conv.stride, conv.padding, conv.dilation, bias=has_bias)
        kernel = (CHEAP_EXTENT, 1 if is_series else CHEAP_EXTENT)
        cheap = nn.Conv2d(half, half, kernel, padding=tuple(k // 2 for k in kernel), groups=half, bias=has_bias)
        with torch.no_grad():
            first.weight.copy_(conv.weight[:half])
            if has_bias:
                first.bias.copy_(conv.bias[:half])
        after = (lambda: [activation()]) if activation else list
        norms = [_first(norm, half), nn.BatchNorm2d(half)] if norm else [None, None]
        self.primary = nn.Sequential(first, *([norms[0]] if norm else []), *after())
        self.cheap = nn.Sequential(cheap, *([norms[1]] if norm else []), *after())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.primary(x)
        return torch.cat([y, self.cheap(y)], 1)


def ghostify(model: nn.Module, example: torch.Tensor, least_saving: float = LEAST_SAVING) -> nn.Module:
    """A copy of `model`, in training mode where it was, with the same interface. example: an input, (N, C, H, W).

    Layers of an odd width, depthwise or grouped ones, and those that would save less than `least_saving` stay as they are.
    Raises InputError when torch.fx cannot trace it, or no layer can be replaced.
    """
    traced = trace(copy.deepcopy(model).eval(), example)
    modules, replaced = dict(traced.named_modules()), 0
    for node in list(traced.graph.nodes):
        conv = modules.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(conv, nn.Conv2d) or not _is_worth(conv, least_saving) or _uses(traced, node.target) > 1:
            continue
        norm_node = _next(node, lambda n: isinstance(modules.get(str(n.target)), nn.BatchNorm2d))
        norm = modules[str(norm_node.target)] if norm_node else None
        last = norm_node or node
        relu_node = _next(last, lambda n: _activation(n, modules) is not None)
        activation = _activation(relu_node, modules) if relu_node else None
        name = f"ghost{replaced}"
        traced.add_module(name, GhostConv(conv, norm, activation, shape_of(node)[3] == 1))
        with traced.graph.inserting_after(node):
            new = traced.graph.call_module(name, (node.args[0],))
        (relu_node or last).replace_all_uses_with(new)
        for old in (relu_node, norm_node, node):
            if old is not None:
                traced.graph.erase_node(old)
        replaced += 1
    if not replaced:
        raise InputError("no convolution of it would become cheaper", where=type(model).__name__,
                         fix="ghostify a network of wider convolutions")
    traced.graph.lint()
    traced.delete_all_unused_submodules()
    traced.recompile()
    return fx.symbolic_trace(traced).train(model.training)


def macs_share(conv: nn.Conv2d) -> float:
    """Multiply-accumulates of the ghost layer over those of the convolution, which do not depend on the image's size."""
    per_output = conv.in_channels * conv.kernel_size[0] * conv.kernel_size[1]
    return 0.5 + 0.5 * CHEAP_EXTENT**2 / per_output


def _is_worth(conv: nn.Conv2d, least_saving: float) -> bool:
    return (conv.groups == 1 and conv.out_channels % 2 == 0 and conv.padding_mode == "zeros"
            and macs_share(conv) <= 1 - least_saving)


def _uses(traced: fx.GraphModule, target: object) -> int:
    return sum(n.op == "call_module" and n.target == target for n in traced.graph.nodes)


def _next(node: fx.Node, wanted) -> fx.Node | None:
    """The only reader of `node`, if it is what is wanted."""
    readers = list(node.users)
    return readers[0] if len(readers) == 1 and wanted(readers[0]) else None


def _activation(node: fx.Node, modules: dict[str, nn.Module]) -> type[nn.Module] | None:
    if node.op == "call_module":
        kind = type(modules[str(node.target)])
        return kind if kind in (nn.ReLU, nn.ReLU6) else None
    return _RELUS.get(node.target)


def _first(norm: nn.BatchNorm2d, count: int) -> nn.BatchNorm2d:
    """Of the first channels."""
    new = nn.BatchNorm2d(count, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    with torch.no_grad():
        for name, value in norm.state_dict().items():
            new.state_dict()[name].copy_(value[:count] if value.dim() else value)
    return new
