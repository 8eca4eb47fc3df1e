# SPDX-License-Identifier: Apache-2.0
"""Parts of convolutions and batch norms put into others of another size: what mapping.py is made of.

An index tells for each channel of the receiver which of the giver's it is; -1: none, it is new.
"""
from __future__ import annotations

import torch
from torch import nn

from mcunas.space.blocks.bottleneck import Bottleneck
from mcunas.space.blocks.context import Context
from mcunas.space.separable import Separable


def picked(importance: torch.Tensor, count: int) -> torch.Tensor:
    """(count,) of the giver's channels: the most important ones in their order, or all and then new ones."""
    own = len(importance)
    if count < own:
        return importance.topk(count).indices.sort().values
    return torch.cat([torch.arange(own), torch.full((count - own,), -1)])


def onto(index: torch.Tensor, count: int) -> torch.Tensor:
    """The index with what the giver, of so many channels, does not have as new."""
    return torch.where(index < count, index, -1)


def put(conv: nn.Conv2d, weight: torch.Tensor, outs: torch.Tensor, ins: torch.Tensor | None) -> None:
    """Into `conv`: the giver's filters, which do not read new inputs. New filters stay as they are. ins: None where the
    filters read one channel each, or the image."""
    known = outs >= 0
    rows = _fitted(weight[outs[known]], conv.weight.shape[2:])
    if ins is not None:
        part = rows.new_zeros(len(rows), len(ins), *rows.shape[2:])
        part[:, ins >= 0] = rows[:, ins[ins >= 0]]
        rows = part
    conv.weight[known] = rows


def put_norm(norm: nn.BatchNorm2d, source: nn.BatchNorm2d, outs: torch.Tensor) -> None:
    """New channels keep their first scale and statistics."""
    known = outs >= 0
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(norm, name)[known] = getattr(source, name)[outs[known]]


def _fitted(weight: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """(.., H, W) cut to its middle, or with zeros around."""
    for axis, wanted in ((2, size[0]), (3, size[1])):
        have = weight.shape[axis]
        if have > wanted:
            weight = weight.narrow(axis, (have - wanted) // 2, wanted)
        elif have < wanted:
            grown = list(weight.shape)
            grown[axis] = wanted
            larger = weight.new_zeros(grown)
            larger.narrow(axis, (wanted - have) // 2, have).copy_(weight)
            weight = larger
    return weight


def reads(block: nn.Module, inside: bool = False) -> torch.Tensor:
    """How much a block reads of each input channel, or `inside` a bottleneck of each of its inner ones: sums of weights."""
    if isinstance(block, nn.Linear):
        return block.weight.abs().sum(0)
    if isinstance(block, Bottleneck):
        if not inside:
            return block.widen[1].weight.abs().sum((0, 2, 3))
        norm = block.filter[2]
        return block.narrow[1].weight.abs().sum((0, 2, 3)) * (norm.weight.abs() + norm.bias.abs())
    separable = block if isinstance(block, Separable) else block.block
    norm = separable.depthwise[2]
    return separable.pointwise[1].weight.abs().sum((0, 2, 3)) * (norm.weight.abs() + norm.bias.abs())


def compose(block: Bottleneck | Separable) -> Separable | Bottleneck:
    """The other kind of block with this one's weights, as far as it has a place for them.

    A separable block is a bottleneck whose first layer hands its inputs on, which is exact for inputs that a ReLU gave. Of a
    bottleneck a separable block takes for each input the filter of the channel that reads it most, and the product of the
    two pointwise layers.
    """
    if isinstance(block, Separable):
        conv, point = block.depthwise[1], block.pointwise[1]
        made = Bottleneck(_context(conv, point), conv.kernel_size[0], conv.in_channels)
        made.widen[1].weight.copy_(torch.eye(conv.in_channels)[:, :, None, None])
        _copy(made.filter, block.depthwise)
        _copy(made.narrow, block.pointwise)
        return made
    widen, conv, narrow = block.widen[1].weight[:, :, 0, 0], block.filter[1], block.narrow[1]
    made = Separable(widen.shape[1], narrow.out_channels, conv.kernel_size, conv.stride, (8, 8))
    most = widen.abs().argmax(0)
    made.depthwise[1].weight.copy_(conv.weight[most])
    put_norm(made.depthwise[2], block.filter[2], most)
    product = narrow.weight[:, :, 0, 0] @ widen
    made.pointwise[1].weight.copy_((product * narrow.weight.norm() / product.norm().clamp_min(1e-6))[:, :, None, None])
    put_norm(made.pointwise[2], block.narrow[2], torch.arange(narrow.out_channels))
    return made


def _context(conv: nn.Conv2d, point: nn.Conv2d) -> Context:
    return Context((8, 8), conv.in_channels, point.out_channels, conv.stride[0])


def _copy(layer: nn.Sequential, source: nn.Sequential) -> None:
    layer[1].weight.copy_(source[1].weight)
    put_norm(layer[2], source[2], torch.arange(source[1].out_channels))
