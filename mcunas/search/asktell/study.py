# SPDX-License-Identifier: Apache-2.0
"""From a NasRun to an ask/tell study and back: what all methods that ask and tell share."""
from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from mcunas.errors import CheckFailed, DoesNotFit
from mcunas.search.asktell.engine import SamplerOf, Search, Seen, front, spent
from mcunas.search.asktell.fidelity import Evaluator, Fidelity
from mcunas.search.asktell.problem import Figures, Problem
from mcunas.search.asktell.storage import opened
from mcunas.search.asktell.workers import Workers
from mcunas.search.nas.run import NasRun
from mcunas.space import Genotype
from mcunas.space.factored import Factored

# times: the samples that a gradient search spends on its supernet, so many times, for networks trained `epochs` each.
# generation: networks asked for at once, that is the most that work in parallel. fidelity: see asktell/fidelity.py.
SHARED = {"times": 4.0, "epochs": 2, "generation": 4, "fidelity": "scratch"}


def evaluations_of(run: NasRun) -> int:
    return max(round(run.search_epochs * run.settings["times"] / run.settings["epochs"]), run.settings["generation"])


def problem_of(run: NasRun, space: Factored, values: Callable[[Figures], tuple[float, ...]],
               directions: tuple[str, ...] = ("maximize",), with_latency: bool = False) -> Problem:
    """The genes of `space`, exact prices on the run's board; what exceeds RAM or flash, or with_latency the latency, is not
    evaluated."""
    def price(genotype: Genotype) -> dict[str, float]:
        cost = run.prices.exact(genotype)
        return {"cycles": cost.cycles, "latency_us": cost.latency_us, "priced_instructions": cost.instructions,
                "ram_bytes": cost.ram_bytes, "flash_bytes": cost.flash_bytes, "macs": cost.macs}

    def violation(figures: Figures) -> float:
        over = [figures["ram_bytes"] / run.budget.ram_bytes, figures["flash_bytes"] / run.budget.flash_bytes]
        if with_latency and run.budget.latency_us:
            over.append(figures["latency_us"] / run.budget.latency_us)
        return max(0.0, max(over) - 1)

    return Problem(space.genes, space.genotype, price, values, directions, violation)


def explored(run: NasRun, problem: Problem, sampler_of: SamplerOf, evaluator: Evaluator) -> list[Seen]:
    """The study of a method that trains its candidates from scratch. Raises DoesNotFit when nothing fits."""
    settings = run.settings
    nets = asked_and_told(run, problem, sampler_of, evaluator, Fidelity(settings["fidelity"], settings["epochs"]),
                          settings["generation"], evaluations_of(run))
    if not nets:
        raise DoesNotFit("no network of the space that was asked for fits", where=run.board.key, fix="raise the budget")
    run.facts |= {"front": [{"cycles": n.figures["cycles"], "accuracy": n.figures["accuracy"], "choices": n.genotype.choices,
                             "widths": n.genotype.widths} for n in front(nets)]}
    for net in nets:
        run.book("search", time.process_time(), 0, {"validation": net.figures["accuracy"]})
    return nets


def asked_and_told(run: NasRun, problem: Problem, sampler_of: SamplerOf, evaluator: Evaluator, fidelity: Fidelity,
                   generation: int, evaluations: int) -> list[Seen]:
    """The study in the run's folder, to its end: networks that fit, in the order of their trials. What it took is in the
    run's ledger."""
    def show(done: int, of: int, figures: dict[str, Any]) -> None:
        run.progress("search", done, of, {"validation": figures["accuracy"]} if "accuracy" in figures else {})

    machines = run.machines
    with opened(run.out, run.fingerprint(), problem.directions, machines.storage) as study, \
            Workers(machines.jobs, machines.executor) as workers:
        nets = Search(study, problem, sampler_of, evaluator, fidelity, run.seed, generation, workers, show).run(evaluations)
        cost = spent(study)
        run.facts |= {"trials": len(study.get_trials(deepcopy=False)), "evaluations": cost.evaluations,
                      "lost": cost.lost,
                      "candidates": [{"point": n.point, "key": n.genotype.key, **n.figures} for n in nets]}
    if cost.lost and not nets:
        raise CheckFailed(f"all {cost.lost} attempts to train a candidate ended with their process", where=str(run.out),
                          fix="see what the processes say; in a fresh folder, --jobs 1 trains in this one")
    if not run.notes.get("is_charged"):         # a search that goes on behind its study comes by again
        run.ledger.charge("search", cost.cpu_seconds, cost.samples)
        if cost.lost:
            run.ledger.charge("lost", cost.lost_seconds)
        run.notes = {**run.notes, "is_charged": True}
    return nets


def best_within(run: NasRun, nets: Sequence[Seen], worth: Callable[[Figures], float]) -> Seen:
    """Of those within all of the budget, latency too, the one of most worth, the first of equals. Raises DoesNotFit."""
    fitting = [n for n in nets if run.prices.fits(n.genotype, run.budget)]
    if not fitting:
        least = min((n.figures["latency_us"] for n in nets), default=math.nan)
        raise DoesNotFit(f"none of {len(nets)} networks meets the latency; the fastest takes {least:,.0f} us",
                         where=run.board.key, fix="raise the latency, or search longer")
    return max(fitting, key=lambda n: worth(n.figures))
