# SPDX-License-Identifier: Apache-2.0
"""FBNet: differentiable search with Gumbel-softmax and a table of the board's prices (Wu et al., arXiv 1812.03443).

From the paper: the stochastic supernet; weights and alpha on 80 and 20 % of the data, an epoch of each in turn; first
epochs for weights only; a temperature that falls; the board's table of prices in the loss. One noise per batch.
Ours, for limits that are hard: a hinge on cycles and flash instead of CE * a log(LAT)^b (loss "product" is the paper's);
the expectation under softmax(alpha), which is the mean price of the networks that the noise makes argmax at any
temperature, where the price of the soft sample hardly depends on alpha at high ones; hard samples in the last epochs, so
that batch norms see single paths; an entropy penalty that grows in the second half; the exact check and repair.
"""
from __future__ import annotations

from collections.abc import Mapping

import torch

from mcunas.search.nas import finals
from mcunas.search.nas.alternate import alternate
from mcunas.search.nas.figures import by_epochs, entropies, progress
from mcunas.search.nas.run import NasRun
from mcunas.search.nas.shared import Shared
from mcunas.search.settings import demand_words
from mcunas.space import Genotype, sampling
from mcunas.space.supernet import Gates

# rate, decay: Adam's on alpha. tau: first and last temperature; the paper's 90 epochs begin at 5, but in ten epochs weights
# that are mostly seen in even mixtures are of no use alone (Fashion-MNIST, argmax with shared weights: 0.64 against 0.70).
# hard_share: of the search epochs, at the end. entropy: weight of the penalty at the end. placebo: "frozen" alpha, or a
# "shuffled" table of prices: such a search gains nothing.
SETTINGS = {"rate": 0.05, "decay": 5e-4, "tau": [1.5, 0.3], "hard_share": 0.2, "entropy": 2.0, "loss": "hinge",
            "placebo": "", **finals.SETTINGS}
PRODUCT = (0.2, 0.6)        # alpha, beta of the paper's loss, on kilocycles: their logarithm must be above 0


def choose(run: NasRun) -> Genotype:
    """Train the supernet and its alpha; the best of its likely networks. Resumes where `run` stands."""
    demand_words("fbnet", run.settings, loss=("hinge", "product"), placebo=("", "frozen", "shuffled"))
    shared = Shared(run, run.settings["rate"], run.settings["decay"])
    return by_epochs(run, shared, lambda: _epoch(run, shared))


def temperature(run: NasRun, at: float) -> float:
    """Geometric from the first to the last over progress 0..1."""
    first, last = run.settings["tau"]
    return first * (last / first) ** at


def _epoch(run: NasRun, shared: Shared) -> None:
    settings = run.settings
    tau = temperature(run, progress(run, run.epoch))
    is_hard = run.epoch >= run.supernet_epochs * (1 - settings["hard_share"])
    of_weights, of_alpha = sampling.annealed(tau, run.noise(run.epoch), is_hard)
    alternate(run, shared, of_weights, of_alpha, lambda gates, at: cost(run, shared, gates, at), {"tau": tau},
              moves=settings["placebo"] != "frozen", multiplies=settings["loss"] == "product")


def cost(run: NasRun, shared: Shared, gates: Gates, at: float) -> torch.Tensor:
    """What is added to the task's loss at progress `at`; or, in the paper's form, what multiplies it."""
    if run.settings["loss"] == "product":
        factor, power = PRODUCT
        return factor * torch.log(shared.expected(gates).cycles / 1e3) ** power
    probs = shared.net.probs()
    known = _shuffled(run, probs) if run.settings["placebo"] == "shuffled" else probs
    entropy = sum(entropies(probs.values())) / len(probs)
    return shared.hinge(run.prices.expected(known, shared.net.names()), at) + penalty(run, at) * entropy


def penalty(run: NasRun, at: float) -> float:
    """Weight of the entropy: none in the first half, then growing. Begun later, it left decisions open at the end."""
    return run.settings["entropy"] * max(2 * at - 1, 0.0)


def _shuffled(run: NasRun, probs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As if each slot's prices stood beside other options, the same ones for the whole search."""
    random = run.noise(-2)
    return {name: p[torch.randperm(len(p), generator=random)] for name, p in probs.items()}
