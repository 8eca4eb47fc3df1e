# SPDX-License-Identifier: Apache-2.0
"""TRADE: students of several block families, found by trust-region Bayesian optimization and taught by one teacher (Kim,
Myeong, Yun, arXiv 2206.13130).

From the paper: students are drawn from several families of blocks, every candidate is trained by distillation from the same
teacher, since that ranks networks otherwise than labels alone, and a trust region chooses. Ours (nas-methods.md, paper 20):
a family, a width and a depth per stage; limits of the board asked exactly and before any training; our own region
(asktell/region.py) over BoTorch's Gaussian process. The teacher is the task's starting net, trained on the same ledger.
"""
from __future__ import annotations

from mcunas.errors import InputError
from mcunas.search.asktell.engine import SamplerOf
from mcunas.search.asktell.evaluate import ByTraining
from mcunas.search.asktell.problem import Problem
from mcunas.search.asktell.study import SHARED, best_within, evaluations_of, explored, problem_of
from mcunas.search.asktell.trust import TrustRegionSampler
from mcunas.search.nas.run import NasRun
from mcunas.search.run import start_of
from mcunas.search.teacher import Loss, taught_by, trained
from mcunas.space import Genotype
from mcunas.space.factored import FAMILIES, Factored

# region: "trust", "global" for the whole space always, "none" for draws by lot. factors: of a stage (space/factored.py).
SETTINGS = {**SHARED, "region": "trust", "factors": {k: list(v) for k, v in FAMILIES.items()}}
NARROWS = PARALLEL = True


def choose(run: NasRun) -> Genotype:
    """The student of the best accuracy that keeps the budget. Resumes from the study. Raises DoesNotFit, InputError."""
    problem = problem_of(run, Factored(run.space, run.settings["factors"]), lambda figures: (figures["accuracy"],),
                         with_latency=True)
    sampler_of = sampler(run.settings["region"], problem, run.settings["generation"], run.seed, evaluations_of(run))
    evaluator = ByTraining(run.task, run.schedule, _teacher(run), None, run.board, run.budget)
    nets = explored(run, problem, sampler_of, evaluator)
    return best_within(run, nets, lambda figures: figures["accuracy"]).genotype


def sampler(region: str, problem: Problem, generation: int, seed: int, evaluations: int) -> SamplerOf:
    """Raises InputError for a region that there is not."""
    import optuna

    if region == "none":
        return lambda own: optuna.samplers.RandomSampler(seed=own)
    if region not in ("trust", "global"):
        raise InputError(f"trade has no region {region!r}", fix="use trust, global or none")
    return TrustRegionSampler(problem, generation, seed, region == "global", evaluations).seeded


def teaches(run: NasRun) -> Loss:
    """The loss of the chosen student's training."""
    return taught_by(_teacher(run), run.task.objective)


def _teacher(run: NasRun):
    return trained(run, start_of(run.task), run.schedule.teacher_epochs or run.schedule.float_epochs)
