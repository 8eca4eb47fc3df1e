# SPDX-License-Identifier: Apache-2.0
"""MnasNet: a factorized hierarchical space and the reward accuracy x (latency / T)^w (Tan et al., arXiv 1807.11626).

From the paper: per block an operation, a kernel, a number of layers, a width and a shortcut, all layers of a block alike;
the hard and the soft exponent; latency as the target takes it, here the board's core in QEMU running the network as it is
deployed; each candidate trained for a few epochs on the task; a policy gradient. Ours (nas-methods.md, paper 15): a
factorized policy instead of a recurrent one, no squeeze-and-excitation, RAM and flash as limits that are asked before any
training, and T is the budget's latency, which the network that is chosen keeps whatever the exponent.
"""
from __future__ import annotations

from mcunas.search.asktell.evaluate import ByTraining
from mcunas.search.asktell.policy import PolicySampler, Rule
from mcunas.search.asktell.problem import Figures
from mcunas.search.asktell.reward import exponents_of, reward
from mcunas.search.asktell.study import SHARED, best_within, evaluations_of, explored, problem_of
from mcunas.search.asktell.timed import simulated_us
from mcunas.search.nas.run import NasRun
from mcunas.search.settings import demand_words
from mcunas.space import Genotype
from mcunas.space.factored import MNASNET, Factored

# exponents: "hard" or "soft". latency: "simulated", or "priced", by the core's table, which takes no compiler. rate: of the
# controller. factors: what a stage's genes may be (space/factored.py).
SETTINGS = {**SHARED, "exponents": "hard", "latency": "simulated", "rate": Rule.rate,
            "factors": {k: list(v) for k, v in MNASNET.items()}}
NARROWS = PARALLEL = True


def choose(run: NasRun) -> Genotype:
    """The network of the highest reward that keeps the budget. Resumes from the study. Raises DoesNotFit."""
    demand_words("mnas", run.settings, latency=("simulated", "priced"))
    exponents, target = exponents_of(run.settings["exponents"]), run.budget.latency_us

    def worth(figures: Figures) -> float:
        return reward(figures["accuracy"], simulated_us(figures, run.board), target, exponents)

    problem = problem_of(run, Factored(run.space, run.settings["factors"]), lambda figures: (worth(figures),))
    generation = run.settings["generation"]
    rule = Rule(rate=run.settings["rate"], generations=max(evaluations_of(run) // generation, 1))
    sampler = PolicySampler(problem, generation, rule)
    nets = explored(run, problem, sampler.seeded, ByTraining(run.task, run.schedule, None, None, run.board, run.budget,
                                                             run.settings["latency"] == "simulated"))
    kept = [n for n in nets if not target or simulated_us(n.figures, run.board) <= target]
    best = best_within(run, kept or nets, worth)
    run.facts["latency"] = {"priced_us": best.figures["latency_us"], "simulated_us": simulated_us(best.figures, run.board)}
    return best.genotype
