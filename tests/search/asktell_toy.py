# SPDX-License-Identifier: Apache-2.0
"""A search that costs nothing, for tests of the engine: 144 points, prices, an evaluator that may kill its worker."""
from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import optuna

from mcunas.search.asktell.engine import Search, Seen, Spent, front, spent
from mcunas.search.asktell.fidelity import Fidelity
from mcunas.search.asktell.problem import Problem
from mcunas.search.asktell.storage import opened
from mcunas.search.asktell.workers import Workers
from mcunas.space import Genotype
from mcunas.space.factored import Genes

GENES = Genes({"a.op": ("x", "y", "z"), "a.width": (1, 2, 3, 4), "b.op": ("x", "y", "z"), "b.width": (1, 2, 3, 4)},
              frozenset({"a.width", "b.width"}))
DIRECTIONS = ("maximize", "minimize")
EVALUATIONS, GENERATION = 12, 4


def genotype(point: dict) -> Genotype:
    return Genotype("toy", dict(point), (8, 8, 1), 2)


def price(net: Genotype) -> dict[str, float]:
    return {"cycles": 100.0 * net.options["a.width"] * net.options["b.width"], "ram_bytes": 10 * net.options["a.width"]}


def values(figures: dict) -> tuple[float, ...]:
    return figures["accuracy"], figures["cycles"]


def violation(figures: dict) -> float:
    return max(0.0, figures["ram_bytes"] / 30 - 1)


PROBLEM = Problem(GENES, genotype, price, values, DIRECTIONS, violation)


@dataclass(frozen=True)
class Toy:
    """kill: while this file does not exist, the first network of operation y makes it and kills its worker; always: every
    one of them does."""

    kill: Path | None = None
    always: bool = False

    def __call__(self, net: Genotype, fidelity: Fidelity, seed: int) -> dict[str, float]:
        own = net.options
        if self.kill and own["a.op"] == "y" and (self.always or not self.kill.exists()):
            self.kill.touch()
            time.sleep(1.0)         # nobody dies in the moment in which he begins, on a busy machine either
            os.kill(os.getpid(), signal.SIGKILL)
        accuracy = {"x": .5, "y": .6, "z": .4}[own["a.op"]] + .02 * own["b.width"]
        return {"accuracy": accuracy + .01 * own["a.width"] * {"x": 1, "y": 2, "z": 3}[own["b.op"]], "samples": 10,
                "cpu_seconds": 0.5}


class Counted(Toy):
    """Counts how often it is packed, in the process that packs it."""

    packed = 0

    def __reduce__(self) -> tuple:
        type(self).packed += 1
        return Counted, (self.kill,)


def tpe(seed: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=6)


def nsga2(seed: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.NSGAIISampler(population_size=GENERATION, seed=seed)


@dataclass(frozen=True)
class Outcome:
    """nets: all; front: the best of them; trials: number, parameters, state, values."""

    nets: list[Seen]
    front: list[Seen]
    spent: Spent
    trials: list[tuple]


def outcome(study: optuna.Study, nets: list[Seen]) -> Outcome:
    trials = [(t.number, t.params, t.state.name, t.values) for t in study.trials]
    return Outcome(nets, front(nets), spent(study), trials)


def searched(out: Path, jobs: int = 1, executor=None, sampler_of=tpe, evaluator: Toy = Toy(), seed: int = 0, progress=None,
             fingerprint: str = "toy", url: str | None = None) -> Outcome:
    with opened(out, fingerprint, DIRECTIONS, url) as study, Workers(jobs, executor) as workers:
        search = Search(study, PROBLEM, sampler_of, evaluator, Fidelity(), seed, GENERATION, workers, progress)
        return outcome(study, search.run(EVALUATIONS))
