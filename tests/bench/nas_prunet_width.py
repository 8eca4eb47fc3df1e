# SPDX-License-Identifier: Apache-2.0
"""The known-width task of PruNet's bi-path block (nas-methods.md, paper 1): a random ReLU teacher of hidden width h*.

Objective: validation MSE (the target's variance is 1) + lambda * width. The search starts at a random wide end, its width
is trained anew like every width of the grid, and the regret is its objective over the grid's best. The placebo's theta
follows noise of the same size. Steps of settling, of theta and of weights all count.
"""
from __future__ import annotations

import time
from typing import Any

import torch
from torch import nn

from mcunas.space.bipath import BiPath, follow
from mcunas.space.hidden import Hidden

INPUTS, OUTPUTS = 16, 8
GRID = (4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64)
TEACHERS = (8, 24, 40)
WIDEST = (32, 48, 64)
LAMBDAS = (0.002, 0.004, 0.008)
TRAIN, VALIDATION, BATCH = 8192, 4096, 256
STEPS, RATE = 1500, 5e-3                    # of each training of the grid, and of the training at the found width
SETTLE, MOST_STEPS = 300, 6000              # steps of the search: before theta moves, at first and after moves; at most
THETA_RATE, TAU = 3e-2, 1.0


class Problem:
    """One teacher: inputs and targets for training and validation, and the trainings of the grid so far."""

    def __init__(self, width: int, seed: int) -> None:
        random = torch.Generator().manual_seed(1000 * width + seed)
        teacher = nn.Sequential(nn.Linear(INPUTS, width), nn.ReLU(), nn.Linear(width, OUTPUTS))
        with torch.no_grad():
            for p in teacher.parameters():
                p.copy_(torch.randn(p.shape, generator=random) * (p.shape[-1] ** -0.5))
            self.x = torch.randn(TRAIN + VALIDATION, INPUTS, generator=random)
            y = teacher(self.x)
            self.y = (y - y.mean(0)) / y.std()
        self.seed = seed

    def batch(self, random: torch.Generator, is_validation: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        start, count = (TRAIN, VALIDATION) if is_validation else (0, TRAIN)
        index = start + torch.randint(count, (BATCH,), generator=random)
        return self.x[index], self.y[index]

    def student(self, width: int) -> nn.Sequential:
        torch.manual_seed(self.seed)
        return nn.Sequential(nn.Linear(INPUTS, width), nn.ReLU(), nn.Linear(width, OUTPUTS))

    def trained(self, width: int) -> float:
        """Validation MSE of a student of `width`, the recipe that all widths get."""
        net, random = self.student(width), torch.Generator().manual_seed(self.seed)
        optimizer = torch.optim.Adam(net.parameters(), RATE)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS, RATE / 100)
        for _ in range(STEPS):
            x, y = self.batch(random)
            _step(optimizer, (net(x) - y).square().mean())
            decay.step()
        with torch.no_grad():
            return float((net(self.x[TRAIN:]) - self.y[TRAIN:]).square().mean())


def _hidden(net: nn.Sequential) -> Hidden:
    return Hidden(net[0], (), net[2])


def _step(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def search(problem: Problem, widest: int, price: float, seed: int, is_placebo: bool = False) -> dict[str, Any]:
    """Walk the bracket from `widest`; price: lambda per channel. Returns the width, the steps, and the walk."""
    net, random = problem.student(widest), torch.Generator().manual_seed(seed)
    path = BiPath(net, _hidden, least=4, grain=4, settle_steps=SETTLE)
    optimizer = torch.optim.Adam(path.weights(), RATE)
    theta_optimizer = torch.optim.Adam([path.theta], THETA_RATE, betas=(0.5, 0.999))
    path.resting = SETTLE
    steps, samples, walk = 0, 0, [path.widths]
    while not path.is_done and steps < MOST_STEPS:
        steps, samples = steps + 1, samples + BATCH
        path.draw(random, TAU, learns=False)
        x, y = problem.batch(random)
        _step(optimizer, (path(x) - y).square().mean())
        if path.resting:
            continue
        samples += 2 * BATCH                    # both paths run
        path.draw(random, TAU, learns=True)
        x, y = problem.batch(random, is_validation=True)
        loss = (path(x) - y).square().mean() + price * path.expected(*path.widths)
        theta_optimizer.zero_grad()
        loss.backward()
        if is_placebo:
            noise = torch.randn(1, generator=random)
            path.theta.grad = path.theta.grad.abs() * torch.cat([noise, -noise])
        theta_optimizer.step()
        if path.stepped():
            path.move(random)
            follow(optimizer, path.weights())
            theta_optimizer.state.clear()
            walk.append(path.widths)
    ended = path.is_done
    path.settle()
    return {"width": path.bracket.chosen, "steps": steps, "samples": samples, "walk": walk, "ended": ended}


def saved_bytes(sizes: int, widest: int = 64) -> dict[str, int]:
    """Bytes kept for the backward pass with `sizes` widths to choose from: at most by bi-path, and by a mixture of paths."""
    problem = Problem(24, 0)
    x, y = problem.x[:BATCH].clone(), problem.y[:BATCH].clone()         # not the storage of all inputs
    path = BiPath(problem.student(widest), _hidden, least=widest // sizes, grain=widest // sizes)
    most = 0
    while not path.is_done:
        path.gate = path.probabilities()
        most = max(most, _kept(lambda: (path(x) - y).square().mean()))
        with torch.no_grad():
            path.theta[0] = 1.0
        path.move(torch.Generator())
    nets = [problem.student(widest * (n + 1) // sizes) for n in range(sizes)]
    weights = torch.full((sizes,), 1 / sizes, requires_grad=True)
    mixture = _kept(lambda: (sum(w * n(x) for w, n in zip(weights, nets)) - y).square().mean())
    return {"sizes": sizes, "bipath": most, "mixture": mixture}


def _kept(loss: Any) -> int:
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        total = loss()
    del total
    return sum(kept.values())


def run(width: int, seed: int, number: int) -> dict[str, Any]:
    """One teacher: the grid, the search, the placebo. Start and lambda go round with `number`; the optimum is interior."""
    problem, started = Problem(width, seed), time.process_time()
    errors = {w: problem.trained(w) for w in GRID}
    grid_seconds = time.process_time() - started
    prices = LAMBDAS[number % 3:] + LAMBDAS[:number % 3]
    price = next((p for p in prices if _best(errors, p) not in (GRID[0], GRID[-1])), None)
    if price is None:
        return {"teacher": width, "seed": seed, "error": "no lambda has an interior optimum", "grid": errors}
    best, widest = _best(errors, price), WIDEST[number % 3]
    row = {"teacher": width, "seed": seed, "lambda": price, "widest": widest, "grid": errors, "best": best,
           "grid_seconds": grid_seconds, "grid_samples": len(GRID) * STEPS * BATCH}
    for arm in ("bipath", "placebo"):
        started = time.process_time()
        found = search(problem, widest, price, seed, arm == "placebo")
        seconds = time.process_time() - started
        w = found["width"]
        if w not in errors:
            errors[w] = problem.trained(w)
        optimum = errors[best] + price * best
        row[arm] = {**found, "seconds": seconds, "regret": (errors[w] + price * w) / optimum - 1}
    return row


def _best(errors: dict[int, float], price: float) -> int:
    return min(GRID, key=lambda w: errors[w] + price * w)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for number, (teacher, seed) in enumerate((t, s) for s in (0, 1) for t in TEACHERS):
        row = run(teacher, seed, number)
        print({k: v for k, v in row.items() if k != "grid"}, {k: round(v, 4) for k, v in row["grid"].items()}, flush=True)
    print([saved_bytes(n) for n in (4, 8, 16)])
