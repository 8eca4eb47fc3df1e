# SPDX-License-Identifier: Apache-2.0
"""Quantization as noise while a search trains (Shvetsov et al., QuantNAS, arXiv 2208.14839): W + sum_b a_b n_b(W).

Rounding to a grid moves a value evenly by up to half a step, so uniform noise of one step's width stands for it, with the
same variance and without anything to differentiate: the slope of the weights is that of the convolution, the slope of a
share says whether the loss bears the noise of its bits. From the paper: noise on the weights of each number of bits and on
the inputs, one convolution for all bits. Ours: only the noise is detached, so no share of clean weights is needed; one draw
serves all bits, each with its own step, which is the same wherever one share is all; steps are those of the deployed grids,
per output channel; inputs have eight bits, the only ones that the firmware has.
"""
from __future__ import annotations

import torch

from mcunas.space.bit_conv import BitConv
from mcunas.space.int4 import perturbed

SMALLEST_POOL = 1 << 16     # values


class Noise:
    """random: where in the pools noise is taken from; to be set before an epoch, that a resumed one repeats it.

    Drawing each value anew would cost more than rounding does: noise is a piece of a pool, at a random place.
    """

    def __init__(self, seed: int) -> None:
        self.random = torch.Generator().manual_seed(seed)
        self._seed, self._pools = seed, {}

    def attach(self, conv: BitConv) -> None:
        pass

    def input(self, conv: BitConv, x: torch.Tensor) -> torch.Tensor:
        """Evaluation leaves it as it is: eight bits of activations cost next to nothing."""
        if not conv.training:
            return x
        low, high = torch.aminmax(x.detach())
        step = (max(float(high), 0.0) - min(float(low), 0.0)) / 255
        return torch.add(x, self.like(x), alpha=step)

    def weight(self, conv: BitConv) -> torch.Tensor:
        """Evaluation rounds at the bits that count most."""
        weight = conv.weight
        if not conv.training:
            most = max(conv.shares, key=lambda s: float(s[1]))[0]
            return perturbed(weight, one_for_all=False) if most == 4 else weight
        step = sum(share / (2 ** (bits - 1) - 1) for bits, share in conv.shares)      # of a largest weight of 1
        tops = weight.detach().abs().amax((1, 2, 3), keepdim=True)
        return weight + self.like(weight) * (tops * step)

    def like(self, x: torch.Tensor) -> torch.Tensor:
        """Noise, even in -1/2 to 1/2, of the shape and the memory order of x. Not to be written to."""
        count, pool = x.numel(), self._pool(x.numel())
        at = int(torch.randint(len(pool) - count + 1, (), generator=self.random))
        last = sum((n - 1) * stride for n, stride in zip(x.shape, x.stride()))
        if last != count - 1:       # it has gaps, or shares places
            return pool[at:at + count].view(x.shape)
        return torch.as_strided(pool, x.shape, x.stride(), at)

    def _pool(self, count: int) -> torch.Tensor:
        """At least twice as many values; which, depends on their number alone."""
        size = max(SMALLEST_POOL, 1 << (2 * count - 1).bit_length())
        if size not in self._pools:
            self._pools[size] = torch.rand(size, generator=torch.Generator().manual_seed(self._seed + size)) - 0.5
        return self._pools[size]
