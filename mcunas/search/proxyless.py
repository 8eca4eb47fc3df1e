# SPDX-License-Identifier: Apache-2.0
"""ProxylessNAS: one path in memory, whatever the number of candidates (Cai, Zhu, Han, arXiv 1812.00332).

From the paper: a weight step runs one drawn path; an architecture step one path too, whose alternatives are evaluated one
by one in the backward pass, for all options of a slot (update "full") or for two drawn ones (update "two": the pair moves
against each other, what both have together stays); or drawn networks are scored and rewarded ("reinforce"). Latency is
the expected value under the probabilities. The binary gates' estimate is first-order: a good direction while no option
dominates; REINFORCE's is unbiased, and noisy.
Ours: a skip is an option like the rest (where the paper's code leaves such a slot out of the update), a hinge on cycles and
flash whose slope is exact in all three, a penalty for what stays undecided, minus the loss as the reward (the paper's is
accuracy and latency), and the exact check and repair at the end.
"""
from __future__ import annotations

import time
from collections.abc import Callable

import torch

from mcunas.errors import InputError
from mcunas.search.nas import finals
from mcunas.search.nas.figures import by_epochs, of_epoch, progress, undecided
from mcunas.search.nas.run import NasRun
from mcunas.search.nas.shared import Shared
from mcunas.space import Genotype, sampling
from mcunas.space.supernet import Gates
from mcunas.tasks import ddp

# rate: Adam's on alpha. entropy: weight of the penalty for undecided slots, in the second half of the search. networks: so
# many are drawn for one step of "reinforce". paths: of a batch of the weights, see Shared.weight_epoch.
SETTINGS = {"update": "two", "rate": 0.2, "entropy": 1.0, "networks": 8, "paths": 4, **finals.SETTINGS}
BETAS = (0.0, 0.999)        # no momentum: what was not drawn does not move
DECAY = 0.99                # of the rewards' moving average


def choose(run: NasRun) -> Genotype:
    """Train the supernet and its alpha; the best of its likely networks. Resumes where `run` stands."""
    if run.settings["update"] not in _STEPS:
        raise InputError(f"proxyless has no update {run.settings['update']!r}", fix=f"use one of {', '.join(_STEPS)}")
    shared = Shared(run, run.settings["rate"], arch_betas=BETAS)
    return by_epochs(run, shared, lambda: _epoch(run, shared))


def _epoch(run: NasRun, shared: Shared) -> None:
    started, ran = time.process_time(), shared.net.option_forwards
    random, update = run.noise(run.epoch), run.settings["update"]
    run.prices.anchor(run.space.genotype(shared.net.best()))
    found = {"loss": shared.weight_epoch(run.weight_batches(run.epoch), run.weight_steps,
                                         lambda block: sampling.single(block, random), run.settings["paths"])}
    samples, reward = run.weight_steps * run.schedule.batch, run.notes.get("reward")
    if run.epoch >= run.schedule.warmup_epochs:
        learner = Reinforce(reward)
        total, steps = 0.0, run.arch_steps
        for step, (images, labels) in enumerate(run.arch_batches(run.epoch)):
            at = progress(run, run.epoch + step / steps)
            total += _STEPS[update](shared, images, labels, at, random, learner)
        found["arch_loss"], reward = total / steps, learner.baseline
        samples += steps * run.schedule.batch * (run.settings["networks"] if update == "reinforce" else 1)
    run.notes = {"shared": shared.notes(), "reward": reward}
    run.end_epoch("search", started, found | of_epoch(run, shared), samples, shared.net.option_forwards - ran)


class Reinforce:
    """Gradients from the rewards of drawn networks; nothing but them is ever run. baseline: moving average of rewards."""

    def __init__(self, baseline: float | None = None) -> None:
        self.baseline = baseline

    def surrogate(self, log_probabilities: list[torch.Tensor], rewards: list[float]) -> torch.Tensor:
        """A scalar whose gradient estimates that of -E[reward]. log_probabilities: of each drawn network."""
        mean = sum(rewards) / len(rewards)
        self.baseline = mean if self.baseline is None else DECAY * self.baseline + (1 - DECAY) * mean
        return -sum((r - self.baseline) * p for r, p in zip(rewards, log_probabilities, strict=True)) / len(rewards)


def keep_mass(alpha: torch.Tensor, pair: tuple[int, ...], before: torch.Tensor) -> None:
    """Shift the pair's logits by one offset, so that together they are as probable as with the values `before`."""
    at = list(pair)
    with torch.no_grad():
        alpha[at] += before[at].logsumexp(0) - alpha[at].logsumexp(0)


def _full(shared: Shared, images: torch.Tensor, labels: torch.Tensor, at: float, random: torch.Generator,
          learner: Reinforce) -> float:
    return shared.arch_step(images, labels, lambda block: sampling.binary(block, random),
                            lambda gates: _expected_cost(shared, gates, at))


def _two(shared: Shared, images: torch.Tensor, labels: torch.Tensor, at: float, random: torch.Generator,
         learner: Reinforce) -> float:
    before, drawn = [alpha.detach().clone() for alpha in shared.net.arch()], {}

    def cost(gates: Gates) -> torch.Tensor:
        drawn.update(gates)
        return _expected_cost(shared, gates, at)

    loss = shared.arch_step(images, labels, lambda block: sampling.binary_pair(block, random), cost)
    for name, alpha, old in zip(shared.net.slots, shared.net.arch(), before, strict=True):
        keep_mass(alpha, drawn[name].run, old)
    return loss


def _expected_cost(shared: Shared, gates: Gates, at: float) -> torch.Tensor:
    """The hinge on the expectation over all options, and the entropy, with slopes for those that the gates compare."""
    probs = {}
    for name, block in shared.net.choices().items():
        compared = torch.zeros(len(block.names), dtype=torch.bool)
        compared[list(gates[name].run)] = True
        probs[name] = torch.where(compared, block.logits(), block.logits().detach()).softmax(0)
    return _cost(shared, probs, at)


def _cost(shared: Shared, probs: dict[str, torch.Tensor], at: float) -> torch.Tensor:
    hinge = shared.hinge(shared.run.prices.expected(probs, shared.net.names()), at)
    return hinge + shared.run.settings["entropy"] * undecided(probs.values(), at)


def _reinforce(shared: Shared, images: torch.Tensor, labels: torch.Tensor, at: float, random: torch.Generator,
               learner: Reinforce) -> float:
    """Reward: minus the loss of the drawn network on the batch. The price needs no draws: its expectation has a slope."""
    net, losses, said = shared.net, [], []
    for _ in range(shared.run.settings["networks"]):
        gates = net.gates(lambda block: sampling.single(block, random))
        with torch.no_grad():
            loss = shared.run.task.objective.loss(net(images, gates), labels)
        losses.append(ddp.mean(float(loss)))
        said.append(sum(torch.log_softmax(b.logits(), 0)[gates[name].run[0]] for name, b in net.choices().items()))
    shared.hinge.begin(losses[0], shared.run.prices.expected(net.probs(), net.names()))
    shared.arch.zero_grad(set_to_none=True)
    (learner.surrogate(said, [-loss for loss in losses]) + _cost(shared, net.probs(), at)).backward()
    shared.arch.step()
    return sum(losses) / len(losses)


_Step = Callable[[Shared, torch.Tensor, torch.Tensor, float, torch.Generator, Reinforce], float]
_STEPS: dict[str, _Step] = {"two": _two, "full": _full, "reinforce": _reinforce}
