# SPDX-License-Identifier: Apache-2.0
"""Bits by gradient: each layer's weights are a mixture of int8 and int4 whose share is learned with them.

An alternative to sensitivities (pruning-methods.md section 4: DNAS, EdMIPS): loss of the task plus what the expected size
of the tables exceeds their share of the flash. Shares only rank the layers; the knapsack makes them a model that fits.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from mcunas.quantize.nncf_ranges import weight_quantizer
from mcunas.quantize.precision import Layer
from mcunas.quantize.qat import FakeQuantized
from mcunas.quantize.sensitivity import Loss
from mcunas.space.int4 import best_magnitude

RATE = 0.5                  # of logits; plain descent, for their gradients' sizes tell the layers apart
START = 2.0                 # of a logit: 0.88 int8
PENALTY = 3.0
FIRST_EPOCH = 200_000       # of the random streams: far from those of the training that follows


class _Mixture(nn.Module):
    """int8 with a share of sigmoid(logit), int4 with the rest."""

    def __init__(self, int8: nn.Module, weight: torch.Tensor, one_for_all: bool) -> None:
        super().__init__()
        self.int8, self.logit = int8, nn.Parameter(torch.tensor(START))
        self.int4 = weight_quantizer(best_magnitude(weight, one_for_all), weight.dim(), 0, bits=4)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        share = torch.sigmoid(self.logit)
        return share * self.int8(weight) + (1 - share) * self.int4(weight)


def by_gradient(quantized: FakeQuantized, layers: Sequence[Layer], limit_bytes: int,
                epochs: Iterable[Iterable[tuple[torch.Tensor, torch.Tensor]]], rate: float,
                loss_of: Loss = F.cross_entropy) -> Mapping[str, float]:
    """path -> loss that int4 would cost by the learned shares, for `precision.allocate`.

    quantized: int8 throughout; its weights learn too, so it is of no further use. limit_bytes: of the layers' tables
    together. epochs: each gives its batches (x, labels). rate: of the weights.
    """
    mixtures: dict[str, _Mixture] = {}
    for layer in layers:
        module = quantized.module.get_submodule(quantized.weighted[layer.path])
        holder = module.parametrizations.weight
        mixtures[layer.path] = _Mixture(holder[0], holder.original.detach(), isinstance(module, nn.Linear))
        parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)
        parametrize.register_parametrization(module, "weight", mixtures[layer.path], unsafe=True)
    logits = [m.logit for m in mixtures.values()]
    held = {id(p) for p in logits}
    others = [p for p in quantized.module.parameters() if p.requires_grad and id(p) not in held]
    optimizers = torch.optim.Adam(others, rate), torch.optim.SGD(logits, RATE)
    sizes = torch.tensor([[layer.table_bytes[8], layer.table_bytes[4]] for layer in layers], dtype=torch.float32)
    quantized.train()
    for batches in epochs:
        for x, labels in batches:
            shares = torch.sigmoid(torch.stack(logits))
            expected = (shares * sizes[:, 0] + (1 - shares) * sizes[:, 1]).sum()
            loss = loss_of(quantized.module(x), labels) + PENALTY * F.relu(expected / limit_bytes - 1)
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
    # The odds say how much a layer holds to int8 for the bytes it would save.
    return {path: float(torch.exp(m.logit.detach())) for path, m in mixtures.items()}
