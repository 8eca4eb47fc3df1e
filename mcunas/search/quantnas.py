# SPDX-License-Identifier: Apache-2.0
"""QuantNAS: blocks and the bits of their weights in one search, quantization as noise (Shvetsov et al., arXiv 2208.14839).

From the paper: noise instead of rounding, one convolution for all bits (space/noise.py, bit_choice.py); mixtures by
softmax(alpha); weights first, then weights and alpha in turn on two parts of the data; an entropy penalty whose factors grow
with the search, so that choices become one-hot; the found network trained from scratch and quantized. Ours, for a board:
exact flash and cycles by a hinge instead of bit operations, which cost nothing on a microcontroller; weights of eight or
four bits and activations of eight, which are what the kernels multiply; no ADQ, whose deviation is taken at run time; a last
stage (nas/finals.py), for which a smaller penalty leaves more than one likely network.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from mcunas.search.nas import finals
from mcunas.search.nas.alternate import alternate
from mcunas.search.nas.figures import by_epochs, entropies, progress
from mcunas.search.nas.run import NasRun
from mcunas.search.nas.shared import Shared
from mcunas.search.settings import demand_words
from mcunas.space import Genotype, sampling
from mcunas.space.bit_choice import BitNet
from mcunas.space.bit_conv import Plain, Way
from mcunas.space.lsq import Lsq
from mcunas.space.noise import Noise
from mcunas.space.supernet import Gates

# rate, decay: Adam's on alpha. entropy: weight of the penalty at the end, on the slots' mean. by: "noise", or to compare
# with it "direct" (rounding to learned steps) or "none" (a search that knows nothing of bits but their price). placebo:
# "frozen" alpha. least_use: of the scarcer of flash and cycles; none, for the first layer with int4 weights brings its
# kernel, and a network that is filled by code gains nothing.
SETTINGS = {"rate": 0.2, "decay": 0.0, "entropy": 0.02, "by": "noise", "placebo": "", "least_use": 0.0, **finals.SETTINGS}
QUIET = 0.25            # of the search, in which the penalty is zero


def choose(run: NasRun) -> Genotype:
    """Train the supernet and its alpha; the most probable network that fits. Resumes where `run` stands."""
    way = way_of(run.settings, run.seed)
    torch.manual_seed(run.seed)
    shared = Shared(run, run.settings["rate"], run.settings["decay"], net=BitNet(run.space, run.feasible, way))
    return by_epochs(run, shared, lambda: _epoch(run, shared, way))


def way_of(settings: dict[str, Any], seed: int) -> Way:
    """What convolutions see. Raises InputError for a setting that is not known."""
    ways: dict[str, Callable[[], Way]] = {"noise": lambda: Noise(seed), "direct": Lsq, "none": Plain}
    demand_words("quantnas", settings, by=ways, placebo=("", "frozen"))
    return ways[settings["by"]]()


def _epoch(run: NasRun, shared: Shared, way: Way) -> None:
    if isinstance(way, Noise):
        way.random = run.noise(run.epoch)
    alternate(run, shared, sampling.mixture, sampling.mixture, lambda gates, at: cost(shared, gates, at),
              {"penalty": penalty(shared, progress(run, run.epoch))}, moves=run.settings["placebo"] != "frozen")


def cost(shared: Shared, gates: Gates, at: float) -> torch.Tensor:
    """What is added to the task's loss at progress `at`: the budget's hinge, and the entropy of the choices."""
    probs = {name: gate.weights for name, gate in gates.items()}
    entropy = sum(entropies(probs.values())) / len(probs)
    return shared.hinge(shared.expected(gates), at) + penalty(shared, at) * entropy


def penalty(shared: Shared, at: float) -> float:
    """Weight of the entropy: a line times, after a quiet time, a logarithm; 0 at first, all of it at the end."""
    ramp = max(at - QUIET, 0.0) / (1 - QUIET)
    return shared.run.settings["entropy"] * at * math.log1p((math.e - 1) * ramp)
