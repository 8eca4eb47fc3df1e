# SPDX-License-Identifier: Apache-2.0
"""A supernet in training: its two optimizers, one step for weights and one for the architecture, and its resumable state.

A weight step moves nothing but weights (SGD, cosine), an architecture step nothing but alpha (Adam). Each draws its gates
once per batch by a function that the method gives.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from mcunas.search.nas.hinge import Hinge
from mcunas.search.nas.run import Batches, NasRun, faster, sgd
from mcunas.space.price import Expected
from mcunas.space.sampling import Draw
from mcunas.space.supernet import Gates, Supernet
from mcunas.tasks import ddp
from mcunas.tasks.training import cosine, number

Cost = Callable[[Gates], torch.Tensor]      # gates -> what is added to the task's loss, or multiplies it


class Shared:
    """net: of the run's feasible options, or the one that is given. `notes()` goes into NasRun.notes; what a checkpoint left
    there is taken.

    arch_rate, arch_decay: of Adam on alpha. arch_betas: the paper's (0.5, 0.999) or (0, 0.999).
    """

    def __init__(self, run: NasRun, arch_rate: float, arch_decay: float = 0.0,
                 arch_betas: tuple[float, float] = (0.5, 0.999), net: Supernet | None = None) -> None:
        torch.manual_seed(run.seed)
        self.run, self.net = run, faster(net or Supernet(run.space, run.feasible))
        self.hinge = Hinge(run.budget, run.board)
        kept = run.notes.get("shared")
        if kept:
            self.net.keep(kept["alive"])
        self.weights = sgd(self.net.weights(), run.schedule)
        self.arch = torch.optim.Adam(self.net.arch(), arch_rate, arch_betas, weight_decay=arch_decay)
        if kept:
            self.net.load_state_dict(kept["net"])
            self.weights.load_state_dict(kept["weights"])
            self.arch.load_state_dict(kept["arch"])
            self.hinge.strengths = kept["strengths"]
            self.net.option_forwards = kept["option_forwards"]

    def notes(self) -> dict[str, Any]:
        return {"alive": self.net.alive(), "net": self.net.state_dict(), "weights": self.weights.state_dict(),
                "arch": self.arch.state_dict(), "strengths": self.hinge.strengths,
                "option_forwards": self.net.option_forwards}

    def expected(self, gates: Gates) -> Expected:
        """The price under the same weights that the gates give the outputs."""
        weights = dict(zip(self.net.slots, self.net.weights_of(gates)))
        return self.run.prices.expected(weights, self.net.names())

    def weight_epoch(self, data: Batches, steps: int, draw: Draw, paths: int = 1) -> float:
        """One epoch of weights; the rate is a cosine over all its epochs. Returns the mean loss.

        paths: each batch is dealt out to so many draws, one update for each. Where a draw is a single path, an option is
        trained by few of a short search's batches; this way by more, of the same images.
        """
        run, total = self.run, 0.0
        self.net.train()
        for step, (images, labels) in enumerate(data):
            rate = cosine((run.epoch + step / steps) / run.supernet_epochs, run.schedule.rate)
            for group in self.weights.param_groups:
                group["lr"] = rate
            count = min(paths, len(images))
            for k in range(count):
                total += self.weight_step(images[k::count], labels[k::count], draw) / count
        return ddp.mean(total / steps)

    def weight_step(self, images: torch.Tensor, labels: torch.Tensor, draw: Draw) -> float:
        with torch.no_grad():
            gates = self.net.gates(draw)        # without a slope: alpha takes no part
        loss = self.run.task.objective.loss(self.net(images, gates), labels)
        self.weights.zero_grad(set_to_none=True)
        loss.backward()
        self.weights.step()
        return number(loss)

    def arch_step(self, images: torch.Tensor, labels: torch.Tensor, draw: Draw, cost: Cost,
                  multiplies: bool = False) -> float:
        """A step of alpha on the task's loss plus, or times, the cost. Returns the task's loss. Weights get no gradient."""
        gates = self.net.gates(draw)
        for parameter in self.weights_that_are():
            parameter.requires_grad_(False)
        task_loss = self.run.task.objective.loss(self.net(images, gates), labels)
        seen = ddp.mean(number(task_loss))
        if self.hinge.strengths is None:
            self.hinge.begin(seen, self.expected(gates))
        self.arch.zero_grad(set_to_none=True)
        (task_loss * cost(gates) if multiplies else task_loss + cost(gates)).backward()
        self.arch.step()
        for parameter in self.weights_that_are():
            parameter.requires_grad_(True)
        return seen

    def weights_that_are(self) -> list[torch.nn.Parameter]:
        return [p for group in self.weights.param_groups for p in group["params"]]

    def kill(self, slot: str, option: str) -> None:
        """Take an option away, with its weights and both optimizers' memory of them."""
        self.net.kill(slot, option, self.weights, self.arch)

    def entropy(self) -> float:
        """Mean over slots of the entropy of softmax(alpha), over its most: 1 = undecided, 0 = decided."""
        shares = []
        for block in self.net.choices().values():
            p = block.probs().detach()
            if len(block.alive) > 1:
                shares.append(float(-(p * p.clamp(min=1e-12).log()).sum() / torch.tensor(float(len(block.alive))).log()))
        return sum(shares) / len(shares) if shares else 0.0
