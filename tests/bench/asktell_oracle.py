# SPDX-License-Identifier: Apache-2.0
"""Searches on the table of asktell_table: an evaluation is a look into it, and the best that there is is known.

Each seed has a limit of its own on the latency, between the 60th percentile of the table and its most, so that the best
network is another one in each and no method can be tuned to it.
"""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import optuna

from mcunas.search.asktell.engine import SamplerOf, Search, Seen
from mcunas.search.asktell.fidelity import Fidelity
from mcunas.search.asktell.problem import Figures, Problem
from mcunas.search.asktell.workers import Workers
from mcunas.space import Genotype
from mcunas.space.factored import Factored, Genes
from tests.bench import asktell_table as table

GENERATION = 4
PERCENTILES = (60, 100)
MOST_CYCLES = 1e9           # beyond any row
DUMMIES = Genes({f"dummy{k}": (0, 1, 2, 3) for k in range(4)}, frozenset(f"dummy{k}" for k in range(4)))


@dataclass(frozen=True)
class Oracle:
    """rows: key of a genotype -> figures; several points may be one network. said: what building the table took."""

    space: Factored
    rows: Mapping[str, dict[str, float]]
    said: Mapping[str, Any]

    def __call__(self, genotype: Genotype, fidelity: Fidelity, seed: int) -> dict[str, float]:
        return {**self.rows[genotype.key], "samples": self.said["samples_each"], "cpu_seconds": 0.0}

    def price(self, genotype: Genotype) -> dict[str, float]:
        """Without a row it is not evaluated."""
        if genotype.key not in self.rows:
            return {"cycles": float("inf")}
        return {k: v for k, v in self.rows[genotype.key].items() if k != "accuracy"}

    def column(self, name: str) -> np.ndarray:
        return np.array([row[name] for row in self.rows.values()])

    def limit(self, seed: int) -> float:
        """Cycles that a seed's networks may take."""
        low, high = np.percentile(self.column("cycles"), PERCENTILES)
        return float(np.exp(np.random.default_rng([7, seed]).uniform(np.log(low), np.log(high))))


@cache
def oracle() -> Oracle:
    said = json.loads(table.file().read_text())
    space = table.factored()
    keys = [space.genotype(point).key for point in space.genes.points()]
    return Oracle(space, {key: dict(zip(said["columns"], row)) for key, row in zip(keys, said["rows"]) if row}, said)


def problem(values: Any, limit: float | None, dummies: bool = False) -> Problem:
    """values: figures -> what is to be large. limit: of the cycles; None = none. dummies: further genes that mean nothing,
    so that a model has something to find out."""
    own = oracle()
    genes = own.space.genes
    if dummies:
        genes = Genes({**genes.options, **DUMMIES.options}, genes.ordered | DUMMIES.ordered)

    def violation(figures: Figures) -> float:
        return max(0.0, figures["cycles"] / (limit or MOST_CYCLES) - 1)

    return Problem(genes, own.space.genotype, own.price, lambda f: (values(f),), ("maximize",), violation)


def searched(of: Problem, sampler_of: SamplerOf, evaluations: int, seed: int) -> list[Seen]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize")
    with Workers() as workers:
        return Search(study, of, sampler_of, oracle(), Fidelity(), seed, GENERATION, workers).run(evaluations)


def best_so_far(values: Sequence[float], count: int) -> list[float]:
    """After each of `count` evaluations; a search that ended before keeps what it had."""
    found = np.maximum.accumulate(values).tolist()
    return [*found, *[found[-1]] * (count - len(found))]
