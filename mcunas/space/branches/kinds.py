# SPDX-License-Identifier: Apache-2.0
"""The branches of a k x k convolution: modules that each equal one k x k kernel and a bias, once batch norm is fixed.

All of them take the input with its padding already around it and pad nothing themselves. So the border needs no care: a 1x1
convolution and its batch norm give on the padding what they give for zeros, BN(0), which is what a k x k convolution behind
them sees when both are one kernel. And padding on one side (SAME at stride 2) is nothing special.
"""
from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from mcunas.space.layers import Pair

Kernel = tuple[torch.Tensor, torch.Tensor]      # weight (outputs, inputs / groups, h, w), bias (outputs,)


@dataclass(frozen=True)
class Window:
    """What all branches of a layer share: channels, kernel (h, w), stride, groups."""

    inputs: int
    outputs: int
    kernel: Pair
    stride: Pair
    groups: int

    @property
    def is_square_in_channels(self) -> bool:
        return self.inputs == self.outputs

    def conv(self, kernel: Pair, stride: Pair, outputs: int | None = None) -> nn.Conv2d:
        return nn.Conv2d(self.inputs, outputs or self.outputs, kernel, stride, groups=self.groups, bias=False)

    def middle(self, extent: Pair) -> tuple[slice, slice]:
        """Where in the kernel a smaller one of `extent` (each 1 or the whole) stands."""
        rows, columns = (slice(None) if part == whole else slice(whole // 2, whole // 2 + 1)
                         for part, whole in zip(extent, self.kernel))
        return rows, columns

    def seen(self, x: torch.Tensor, extent: Pair) -> torch.Tensor:
        """The part of the padded input (N, C, H, W) that a smaller kernel in the middle slides over."""
        for axis, (part, whole) in enumerate(zip(extent, self.kernel), start=2):
            if part != whole:
                x = x.narrow(axis, whole // 2, x.shape[axis] - whole + 1)
        return x

    def one(self, like: torch.Tensor) -> torch.Tensor:
        """Each channel onto itself: (channels, channels / groups, 1, 1)."""
        width = self.inputs // self.groups
        channel = torch.arange(self.inputs)
        weight = like.new_zeros(self.inputs, width, 1, 1)
        weight[channel, channel % width] = 1.0
        return weight


def normed(weight: torch.Tensor, bias: torch.Tensor | float, norm: nn.BatchNorm2d) -> Kernel:
    """A kernel and its batch norm (evaluation mode) as one kernel."""
    scale = torch.rsqrt(norm.running_var + norm.eps) * norm.weight
    return weight * scale[:, None, None, None], norm.bias + (bias - norm.running_mean) * scale


class Part(nn.Module):
    """A convolution with a kernel of `extent`, each 1 or the layer's own; batch norm."""

    def __init__(self, window: Window, extent: Pair) -> None:
        super().__init__()
        self.window, self.extent = window, extent
        self.conv = window.conv(extent, window.stride)
        self.norm = nn.BatchNorm2d(window.outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(self.window.seen(x, self.extent)))

    def kernel(self) -> Kernel:
        weight = self.conv.weight.new_zeros(*self.conv.weight.shape[:2], *self.window.kernel)
        weight[(..., *self.window.middle(self.extent))] = self.conv.weight
        return normed(weight, 0.0, self.norm)


class Average(nn.Module):
    """Mean over the window, zeros of the padding counted; a 1x1 convolution where the number of channels changes; norm."""

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.window = window
        self.mix = None if window.is_square_in_channels else window.conv((1, 1), (1, 1))
        self.norm = nn.BatchNorm2d(window.outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.avg_pool2d(x, self.window.kernel, self.window.stride)
        return self.norm(x if self.mix is None else self.mix(x))

    def kernel(self) -> Kernel:
        high, wide = self.window.kernel
        mix = self.window.one(self.norm.weight) if self.mix is None else self.mix.weight
        return normed(mix.expand(-1, -1, high, wide) / (high * wide), 0.0, self.norm)


class Chain(nn.Module):
    """1x1 convolution that keeps the channels, identity at first, norm; k x k convolution, norm."""

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.window = window
        self.first, self.first_norm = window.conv((1, 1), (1, 1), window.inputs), nn.BatchNorm2d(window.inputs)
        self.second, self.second_norm = window.conv(window.kernel, window.stride), nn.BatchNorm2d(window.outputs)
        with torch.no_grad():
            self.first.weight.copy_(window.one(self.first.weight))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second_norm(self.second(self.first_norm(self.first(x))))

    def kernel(self) -> Kernel:
        window, (inner, inner_bias) = self.window, normed(self.first.weight, 0.0, self.first_norm)
        width, each = window.inputs // window.groups, window.outputs // window.groups
        outer = self.second.weight.view(window.groups, each, width, *window.kernel)
        weight = torch.einsum("goehw,gei->goihw", outer, inner.view(window.groups, width, width))
        bias = torch.einsum("goehw,ge->go", outer, inner_bias.view(window.groups, width))
        return normed(weight.reshape(self.second.weight.shape), bias.flatten(), self.second_norm)


class Identity(nn.Module):
    """The input itself, through a batch norm."""

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.window, self.norm = window, nn.BatchNorm2d(window.outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.window.seen(x, (1, 1)))

    def kernel(self) -> Kernel:
        weight = self.norm.weight.new_zeros(self.window.outputs, self.window.inputs // self.window.groups,
                                            *self.window.kernel)
        weight[(..., *self.window.middle((1, 1)))] = self.window.one(self.norm.weight)
        return normed(weight, 0.0, self.norm)


def branches_of(window: Window) -> dict[str, nn.Module]:
    """name -> branch that a search may drop, the layer's own k x k first: those that can stand there."""
    high, wide = window.kernel
    found = {"kxk": Part(window, window.kernel), "1x1": Part(window, (1, 1))}
    if high > 1 and wide > 1:
        found |= {"1xk": Part(window, (1, wide)), "kx1": Part(window, (high, 1))}
    return {**found, "average": Average(window), "1x1-kxk": Chain(window)}


def identity_of(window: Window) -> nn.Module | None:
    """The branch that costs nothing to keep; None where shapes differ."""
    return Identity(window) if window.is_square_in_channels and window.stride == (1, 1) else None
