# SPDX-License-Identifier: Apache-2.0
"""Steps of a gradient search over weights and architecture parameters: RARTS, and the first-order DARTS beside it.

RARTS (Xue, Qi, Xin, arXiv 2008.03901) splits the data and the network: w learns from one half, its twin y from the
other, and both share alpha. One level, three variables, and no derivative of a derivative:

    L(y, w, alpha) = L_v(y, alpha) + lam L_t(w, alpha) + beta/2 |y - w|^2

which is descended in the order w, y, alpha, each with what the ones before it have become. The costs of an architecture
belong to alpha's step alone (nas-methods.md, paper 13). First-order DARTS takes alpha's gradient on L_v(w, alpha) as if w
did not depend on alpha.

Losses are callables that run one forward pass at the present values and return a scalar.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

Loss = Callable[[], torch.Tensor]
Tensors = Sequence[torch.Tensor]


@dataclass(frozen=True)
class Coupling:
    """lam: weight of the first half's loss. beta: pull of the twins on each other.

    On the solvable model alpha is off by a share of 1/(2 lam) + 1/beta; steps must shrink like 1/(lam + beta).
    """

    lam: float = 10.0
    beta: float = 10.0


class Relaxed:
    """RARTS's step. weights, twin: w and y, of the same shapes. optimizers: of w, of y, of alpha.

    is_fresh: alpha's gradients come from two more passes, with the w and y of this step; otherwise from the passes that
    moved them, half the work and one step old. passes: forward-backward passes so far.
    """

    def __init__(self, weights: Tensors, twin: Tensors, alpha: Tensors, coupling: Coupling,
                 optimizers: Sequence[torch.optim.Optimizer], is_fresh: bool = True) -> None:
        self.weights, self.twin, self.alpha = list(weights), list(twin), list(alpha)
        self.coupling, self.optimizers, self.is_fresh = coupling, tuple(optimizers), is_fresh
        self.passes = 0

    def step(self, train_loss: Loss, validation_loss: Loss, cost: Loss | None = None) -> tuple[float, float]:
        """Move w, y and alpha once. cost: of alpha alone. Returns (L_t, L_v) before the step."""
        lam, beta = self.coupling.lam, self.coupling.beta
        first, slope, by_train = self._pass(train_loss, self.weights)
        move(self.optimizers[0], self.weights, [lam * g + beta * (w - y).detach()
                                                for g, w, y in zip(slope, self.weights, self.twin, strict=True)])
        second, slope, by_validation = self._pass(validation_loss, self.twin)
        move(self.optimizers[1], self.twin, [g + beta * (y - w).detach()
                                             for g, w, y in zip(slope, self.weights, self.twin, strict=True)])
        if self.is_fresh:
            by_train, by_validation = self._pass(train_loss, ())[2], self._pass(validation_loss, ())[2]
        slope = [lam * t + v for t, v in zip(by_train, by_validation, strict=True)]
        move(self.optimizers[2], self.alpha, _with_cost(slope, cost, self.alpha))
        return first, second

    def _pass(self, loss: Loss, weights: Tensors) -> tuple[float, list[torch.Tensor], list[torch.Tensor]]:
        """(loss, its gradients on the weights, those on alpha)."""
        self.passes += 1
        value = loss()
        found = gradients(value, [*weights, *self.alpha])
        return float(value.detach()), found[:len(weights)], found[len(weights):]


class FirstOrder:
    """First-order DARTS: w by L_t, then alpha by L_v with the same w. optimizers: of w, of alpha."""

    def __init__(self, weights: Tensors, alpha: Tensors, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        self.weights, self.alpha, self.optimizers = list(weights), list(alpha), tuple(optimizers)
        self.passes = 0

    def step(self, train_loss: Loss, validation_loss: Loss, cost: Loss | None = None) -> tuple[float, float]:
        """As `Relaxed.step`; both losses are of w."""
        first = train_loss()
        move(self.optimizers[0], self.weights, gradients(first, self.weights))
        second = validation_loss()
        move(self.optimizers[1], self.alpha, _with_cost(gradients(second, self.alpha), cost, self.alpha))
        self.passes += 2
        return float(first.detach()), float(second.detach())


def gradients(loss: torch.Tensor, tensors: Tensors) -> list[torch.Tensor]:
    """d loss / d tensor, zeros for those that the loss does not touch: of options that were not on the path."""
    found = torch.autograd.grad(loss, list(tensors), allow_unused=True)
    return [torch.zeros_like(t) if g is None else g for g, t in zip(found, tensors)]


def move(optimizer: torch.optim.Optimizer, tensors: Tensors, slope: Tensors) -> None:
    """One step of the optimizer along these gradients."""
    for tensor, gradient in zip(tensors, slope, strict=True):
        tensor.grad = gradient
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def _with_cost(slope: Tensors, cost: Loss | None, alpha: Tensors) -> list[torch.Tensor]:
    return list(slope) if cost is None else [s + g for s, g in zip(slope, gradients(cost(), alpha), strict=True)]
