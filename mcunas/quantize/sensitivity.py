# SPDX-License-Identifier: Apache-2.0
"""What int4 weights would cost each layer of a float network: by the curvature of the loss, or by the loss itself.

Hessian: the mean eigenvalue of the layer's block times the squared distance that rounding moves its weights, after HAWQ
(Dong et al.; survey of mixed precision, arXiv 2208.06064). The trace is Hutchinson's estimate, the mean of z'Hz over
random signs z. Measured: the loss with that layer alone at int4 less the loss with none.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from mcunas.space.int4 import perturbed

PROBES = 30
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]       # (outputs, labels) -> scalar


def _weights(net: nn.Module, paths: Sequence[str]) -> list[torch.Tensor]:
    return [net.get_submodule(path).weight for path in paths]


def _moves(net: nn.Module, paths: Sequence[str]) -> list[torch.Tensor]:
    """The layers' weights at int4."""
    return [perturbed(net.get_submodule(path).weight.detach(), isinstance(net.get_submodule(path), nn.Linear))
            for path in paths]


def hessian_traces(net: nn.Module, paths: Sequence[str], x: torch.Tensor, labels: torch.Tensor, seed: int,
                   probes: int = PROBES, loss: Loss = F.cross_entropy) -> list[float]:
    """Per layer the trace of its block of the loss's Hessian, estimated on one batch (N, C, H, W)."""
    weights, generator = _weights(net, paths), torch.Generator().manual_seed(seed)
    for w in weights:
        w.requires_grad_(True)
    with torch.enable_grad():
        gradients = torch.autograd.grad(loss(net(x), labels), weights, create_graph=True)
        traces = [0.0] * len(weights)
        for _ in range(probes):
            signs = [torch.randint(0, 2, w.shape, generator=generator).to(w) * 2 - 1 for w in weights]
            products = torch.autograd.grad(gradients, weights, signs, retain_graph=True)
            traces = [t + float((z * h).sum()) / probes for t, z, h in zip(traces, signs, products)]
    return traces


def by_hessian(net: nn.Module, paths: Sequence[str], x: torch.Tensor, labels: torch.Tensor, seed: int,
               loss: Loss = F.cross_entropy) -> list[float]:
    """Per layer mean eigenvalue x squared distance; estimates below zero are noise and count as zero."""
    traces = hessian_traces(net, paths, x, labels, seed, loss=loss)
    return [max(trace, 0.0) / w.numel() * float(((moved - w.detach()) ** 2).sum())
            for trace, w, moved in zip(traces, _weights(net, paths), _moves(net, paths))]


@torch.no_grad()
def by_loss(net: nn.Module, paths: Sequence[str], x: torch.Tensor, labels: torch.Tensor,
            loss: Loss = F.cross_entropy) -> list[float]:
    """Per layer what the loss rises by when it alone is rounded."""
    before, rises = float(loss(net(x), labels)), []
    for w, moved in zip(_weights(net, paths), _moves(net, paths)):
        kept = w.detach().clone()
        w.copy_(moved)
        rises.append(float(loss(net(x), labels)) - before)
        w.copy_(kept)
    return rises
