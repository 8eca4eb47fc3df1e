# SPDX-License-Identifier: Apache-2.0
"""From a genotype to its network: the start net, or the space's in the form that is deployed, cut to its widths."""
from __future__ import annotations

import torch
from torch import nn

from mcunas.prune.groups import Channels, find_groups
from mcunas.prune.slicing import slice_to
from mcunas.space import Genotype


def as_deployed(genotype: Genotype) -> nn.Module:
    """The network with its first weights, as wide as its start or space has it. Raises InputError."""
    net = genotype.build_dense()
    if genotype.choices:
        from mcunas.space.blocks.collapsible import collapsed

        net = collapsed(net)
    return net


def narrowed(net: nn.Module, genotype: Genotype) -> Channels:
    """Cut `net`, in place, to the genotype's widths; its channel groups then. Raises IndexError where it is not so wide."""
    height, width, depth = genotype.input_shape
    channels = find_groups(net.eval(), torch.zeros(1, depth, height, width))
    if not genotype.widths:
        return channels
    return slice_to(net, channels, [genotype.widths.get(g.name, g.channels) for g in channels.groups])
