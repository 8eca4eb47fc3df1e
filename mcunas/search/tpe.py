# SPDX-License-Identifier: Apache-2.0
"""A tree-structured Parzen estimator as Optuna has it, on mnas's space and reward: the arm beside its controller."""
from __future__ import annotations

import optuna

from mcunas.search.asktell.evaluate import ByTraining
from mcunas.search.asktell.problem import Figures
from mcunas.search.asktell.reward import exponents_of, reward
from mcunas.search.asktell.study import SHARED, best_within, explored, problem_of
from mcunas.search.nas.run import NasRun
from mcunas.space import Genotype
from mcunas.space.factored import MNASNET, Factored

# exponents, factors: as in mnas. sampler: "tpe", or "random" for draws by lot.
SETTINGS = {**SHARED, "exponents": "hard", "sampler": "tpe", "factors": {k: list(v) for k, v in MNASNET.items()}}
NARROWS = PARALLEL = True
SAMPLERS = {"tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
            "random": lambda seed: optuna.samplers.RandomSampler(seed=seed)}


def choose(run: NasRun) -> Genotype:
    """The network of the highest reward that keeps the budget. Resumes from the study. Raises DoesNotFit, InputError."""
    from mcunas.errors import InputError

    exponents, target = exponents_of(run.settings["exponents"]), run.budget.latency_us
    if run.settings["sampler"] not in SAMPLERS:
        raise InputError(f"tpe has no sampler {run.settings['sampler']!r}", fix=f"use one of {', '.join(SAMPLERS)}")

    def worth(figures: Figures) -> float:
        return reward(figures["accuracy"], figures["latency_us"], target, exponents)

    problem = problem_of(run, Factored(run.space, run.settings["factors"]), lambda figures: (worth(figures),))
    evaluator = ByTraining(run.task, run.schedule, None, None, run.board, run.budget)
    return best_within(run, explored(run, problem, SAMPLERS[run.settings["sampler"]], evaluator), worth).genotype
