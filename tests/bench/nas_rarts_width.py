# SPDX-License-Identifier: Apache-2.0
"""A width that is known: RARTS and first-order DARTS choose the hidden width of a student of a random ReLU teacher.

Few, noisy samples, since RARTS's claim is that both halves of the data teach weights and widths. Objective: squared error
against the noiseless teacher + lambda * width, of a student trained anew at the chosen width by the recipe of the grid;
regret is its share over the grid's best. Both searches draw a hard width per pass (Gumbel, straight-through) under one
WidthChoice, and run as many passes with the same optimizers and rates.
"""
from __future__ import annotations

import copy
import math
import time
from typing import Any

import torch
from torch import nn

from mcunas.search.relaxed import Coupling, FirstOrder, Relaxed
from tests.bench.width_choice import WidthChoice

INPUTS, OUTPUTS = 16, 8
GRID = (4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64)
TEACHERS, LAMBDAS = (8, 24, 40), (0.002, 0.004, 0.001, 0.008)
HALF, TEST, NOISE, BATCH = 512, 4096, 0.3, 64      # samples of a half, of the test; deviation of the noise
GRID_STEPS, STEPS, RATE, DECAY, ARCH_RATE = 800, 1500, 0.1, 5e-4, 0.03


class Problem:
    """A teacher's samples: two noisy halves, then noiseless ones for the score."""

    def __init__(self, width: int, seed: int) -> None:
        random = torch.Generator().manual_seed(1000 * width + seed)
        teacher = _net(width)
        with torch.no_grad():
            for p in teacher.parameters():
                p.copy_(torch.randn(p.shape, generator=random) * p.shape[-1] ** -0.5)
            self.x = torch.randn(2 * HALF + TEST, INPUTS, generator=random)
            clean = teacher(self.x)
            self.clean = (clean - clean.mean(0)) / clean.std()
        self.y = self.clean + NOISE * torch.randn(clean.shape, generator=random)
        self.seed = seed

    def batch(self, random: torch.Generator, first: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        index = first + torch.randint(count, (BATCH,), generator=random)
        return self.x[index], self.y[index]

    def error(self, width: int) -> float:
        """Of a student of that width, trained on both halves."""
        torch.manual_seed(self.seed)
        net, random = _net(width), torch.Generator().manual_seed(self.seed)
        optimizer = _sgd(net, 1.0)
        for step in range(GRID_STEPS):
            _set_rate([optimizer], step / GRID_STEPS, 1.0)
            x, y = self.batch(random, 0, 2 * HALF)
            optimizer.zero_grad()
            (net(x) - y).square().mean().backward()
            optimizer.step()
        with torch.no_grad():
            return float((net(self.x[2 * HALF:]) - self.clean[2 * HALF:]).square().mean())


def _net(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(INPUTS, width), nn.ReLU(), nn.Linear(width, OUTPUTS))


def _sgd(net: nn.Module, scale: float) -> torch.optim.SGD:
    return torch.optim.SGD(net.parameters(), RATE * scale, 0.9, weight_decay=DECAY, nesterov=True)


def _set_rate(optimizers: list[torch.optim.SGD], at: float, scale: float) -> None:
    for optimizer in optimizers:
        optimizer.param_groups[0]["lr"] = RATE * scale * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * at)))


def search(problem: Problem, price: float, coupling: Coupling | None) -> dict[str, Any]:
    """price: lambda per channel. coupling: of RARTS; None = first-order DARTS. Returns the width and its probability."""
    torch.manual_seed(problem.seed)
    choice, net = WidthChoice(GRID), _net(GRID[-1])
    twin, random = copy.deepcopy(net), torch.Generator().manual_seed(problem.seed)
    arch = torch.optim.Adam([choice.alpha], ARCH_RATE, (0.5, 0.999))
    scale, weight = (2 / (coupling.lam + coupling.beta), coupling.lam + 1) if coupling else (1.0, 1.0)
    if coupling:
        optimizers = [_sgd(net, scale), _sgd(twin, scale)]
        learner: Any = Relaxed(list(net.parameters()), list(twin.parameters()), [choice.alpha], coupling,
                               (*optimizers, arch), is_fresh=False)
    else:
        twin, optimizers = net, [_sgd(net, scale)]
        learner = FirstOrder(list(net.parameters()), [choice.alpha], (*optimizers, arch))

    def loss(student: nn.Sequential, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(student[0](x)) * choice.mask(_hard(choice, random))
        return (student[2](hidden) - y).square().mean()

    for step in range(STEPS):
        _set_rate(optimizers, step / STEPS, scale)
        first, second = problem.batch(random, 0, HALF), problem.batch(random, HALF, HALF)
        learner.step(lambda f=first: loss(net, *f), lambda s=second: loss(twin, *s),
                     lambda: weight * price * choice.expected(choice.probs()))
    return {"width": choice.best(), "probability": float(choice.probs().detach().max()), "passes": learner.passes}


def _hard(choice: WidthChoice, random: torch.Generator) -> torch.Tensor:
    """One-hot by Gumbel-max, with the slope of the softmax."""
    uniform = torch.rand(len(choice.grid), generator=random).clamp(1e-9, 1 - 1e-7)
    soft = torch.softmax(choice.alpha - torch.log(-torch.log(uniform)), 0)
    return torch.zeros_like(soft).index_fill(0, soft.argmax(), 1.0) + soft - soft.detach()


ARMS = {"darts": None, "rarts": Coupling(10, 10), "rarts, lam = beta = 3": Coupling(3, 3),
        "rarts, lam = beta = 30": Coupling(30, 30)}


def run(width: int, seed: int) -> dict[str, Any]:
    """One teacher under the first lambda, from a place that goes round, at which the grid's optimum is interior."""
    problem = Problem(width, seed)
    errors = {w: problem.error(w) for w in GRID}
    places = [LAMBDAS[(seed + k) % len(LAMBDAS)] for k in range(len(LAMBDAS))]
    price, best = next((p, w) for p in places
                       if (w := min(GRID, key=lambda w, p=p: errors[w] + p * w)) not in (GRID[0], GRID[-1]))
    optimum = errors[best] + price * best
    row: dict[str, Any] = {"teacher": width, "seed": seed, "lambda": price, "best": best, "errors": errors, "arms": {}}
    for name, coupling in ARMS.items():
        started = time.process_time()
        found = search(problem, price, coupling)
        regret = (errors[found["width"]] + price * found["width"]) / optimum - 1
        row["arms"][name] = {**found, "regret": regret, "cpu_seconds": time.process_time() - started}
    return row
