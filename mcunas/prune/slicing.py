# SPDX-License-Identifier: Apache-2.0
"""Physical slicing: remove channels from a network and from its optimizer's state, so that training gets cheaper.

Masking alone saves no time on a CPU. Parameters keep their identity (only `.data` shrinks), so the optimizer goes on.
"""
from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from mcunas.prune.groups import Axis, Channels


def _index(axis: Axis, keep: list[torch.Tensor]) -> torch.Tensor:
    """Entries of a channel axis that stay, in order."""
    parts, start = [], 0
    for group, repeat, entries in axis.segments:
        kept = keep[group] if group >= 0 else torch.arange(entries // repeat)
        parts.append((start + kept[:, None] * repeat + torch.arange(repeat)).flatten())
        start += entries
    return torch.cat(parts)


def _resized(axis: Axis, keep: list[torch.Tensor]) -> Axis:
    return Axis(tuple((g, r, len(keep[g]) * r if g >= 0 else n) for g, r, n in axis.segments))


def slice_channels(net: nn.Module, channels: Channels, keep: list[torch.Tensor],
                   optimizer: torch.optim.Optimizer | None = None) -> Channels:
    """Cut `net` in place to the channels `keep` (one index vector per group); returns the new channel axes."""
    for path in channels.outputs:
        module = net.get_submodule(path)
        out = _index(channels.outputs[path], keep)
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            for name in ("weight", "bias", "running_mean", "running_var"):
                _select(module, name, 0, out, optimizer)
            module.num_features = len(out)
            continue
        inputs = _index(channels.inputs[path], keep)
        transposed = isinstance(module, nn.ConvTranspose2d)
        is_depthwise = isinstance(module, nn.Conv2d) and module.groups > 1
        _select(module, "weight", 1 if transposed else 0, out, optimizer)
        _select(module, "bias", 0, out, optimizer)
        if not is_depthwise:
            _select(module, "weight", 0 if transposed else 1, inputs, optimizer)
        if isinstance(module, nn.Linear):
            module.in_features, module.out_features = len(inputs), len(out)
        else:
            module.in_channels, module.out_channels = len(inputs), len(out)
            module.groups = len(inputs) if is_depthwise else 1
    groups = tuple(replace(g, channels=len(k)) for g, k in zip(channels.groups, keep))
    return replace(channels, groups=groups, inputs={p: _resized(a, keep) for p, a in channels.inputs.items()},
                   outputs={p: _resized(a, keep) for p, a in channels.outputs.items()},
                   nodes={n: _resized(a, keep) for n, a in channels.nodes.items()})


def _select(module: nn.Module, name: str, dim: int, index: torch.Tensor,
            optimizer: torch.optim.Optimizer | None) -> None:
    tensor = getattr(module, name, None)
    if tensor is None or len(index) == tensor.shape[dim]:
        return
    shape = tensor.shape
    state = optimizer.state.get(tensor, {}) if optimizer is not None else {}
    for key, value in state.items():        # momentum, Adam moments: same shape as the parameter
        if isinstance(value, torch.Tensor) and value.shape == shape:
            state[key] = value.index_select(dim, index)
    tensor.data = tensor.data.index_select(dim, index)
    if isinstance(tensor, nn.Parameter):
        tensor.grad = None


def slice_to(net: nn.Module, channels: Channels, widths: list[int]) -> Channels:
    """Keep the first `widths[g]` channels of each group: the shape matters, the weights are replaced or fresh."""
    return slice_channels(net, channels, [torch.arange(w) for w in widths])
