# SPDX-License-Identifier: Apache-2.0
"""Trust-region Bayesian optimization as an Optuna sampler: BoTorch's Gaussian process, a region of our own (region.py).

Each generation: a Gaussian process with a Matern-5/2 kernel on ordered genes times a Hamming kernel on the others, fitted to
what was evaluated since the region began; candidates within the region that fit the board and are not known, by exact
prices; per trial one joint draw from the posterior over all of them, and its best (Thompson sampling). Everything is
replayed from the study. After TuRBO (arXiv 1910.01739), which TRADE's search builds on (Kim et al., arXiv 2206.13130).
"""
from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from mcunas.search.asktell.problem import Problem
from mcunas.search.asktell.region import Region, distances

CANDIDATES = 1_000          # all points where there are no more
PRICED = 256                # candidates, in the order of their draw, whose exact price is asked
PERTURBED = 20              # genes that are changed on average in a candidate, where points are drawn
WEIGHTS = (0.5, 2.0)


class TrustRegionSampler(optuna.samplers.BaseSampler):
    """seed: the study's. generation: as of the Search. is_global: the whole space always, for comparison. evaluations: of
    the whole search, of which the first hypercube takes a third at most."""

    def __init__(self, problem: Problem, generation: int, seed: int, is_global: bool = False,
                 evaluations: int | None = None) -> None:
        self.problem, self.generation, self.study_seed, self.is_global = problem, generation, seed, is_global
        self.seed = seed
        self.genes = problem.genes
        self.is_ordered = np.array([g in self.genes.ordered for g in self.genes.options])
        count = max(min(2 * len(self.genes.options), (evaluations or 1 << 30) // 3), 1)
        self.first = -(-count // generation)        # generations of a hypercube, before there is a model
        self.trace: list[float] = []                # length of the region in each generation
        self._regions: dict[int, Region] = {}
        self._model: tuple[int, Any] = (-1, None)

    def seeded(self, seed: int) -> TrustRegionSampler:
        self.seed = seed
        return self

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.problem.distributions()

    def sample_independent(self, study: optuna.Study, trial: FrozenTrial, name: str, distribution: BaseDistribution) -> Any:
        raise AssertionError(f"{name} is no gene of the problem")

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
                        ) -> dict[str, Any]:
        trials = study.get_trials(deepcopy=False)
        generation, random = trial.number // self.generation, np.random.default_rng(self.seed)
        region, known = self.region(trials, generation), {t.user_attrs.get("key") for t in trials}
        if generation - region.started < self.first:
            return self.problem.params(self._spread(region, trial.number, known, random))
        return self.problem.params(self._promising(trials, generation, region, known, random))

    def region(self, trials: Sequence[FrozenTrial], generation: int) -> Region:
        """At the beginning of a generation: a function of those before it."""
        region = Region()
        for k in range(generation):
            if k + 1 not in self._regions:
                own = trials[k * self.generation:(k + 1) * self.generation]
                after = self._after(self._regions.get(k, Region()), k, [t.values[0] for t in own if self._counts(t)])
                self._regions[k + 1] = after
                self.trace.append(after.length)
            region = self._regions[k + 1]
        return region

    def _after(self, region: Region, generation: int, values: list[float]) -> Region:
        if generation - region.started < self.first:        # still spreading: the best is known, nothing is judged
            return Region(region.length, best=max([*values, region.best]), started=region.started)
        moved = region.after(values, len(self.genes.options), self.generation)
        return Region(started=generation + 1) if moved.is_spent(len(self.genes.options)) and not self.is_global else moved

    def _counts(self, trial: FrozenTrial) -> bool:
        return trial.state == TrialState.COMPLETE and self.problem.violation(trial.user_attrs["figures"]) <= 0

    def _spread(self, region: Region, number: int, known: set, random: np.random.Generator) -> dict[str, Any]:
        """A point of a Latin hypercube of the region's own; where it does not fit or is known, one by lot."""
        count = self.first * self.generation
        cube = np.random.default_rng([self.study_seed, region.started])
        columns = {gene: values[int(cube.permutation(count)[(number - region.started * self.generation) % count]
                                    * len(values) / count)] for gene, values in self.genes.options.items()}

        def by_lot() -> dict[str, Any]:
            return {gene: values[int(random.integers(len(values)))] for gene, values in self.genes.options.items()}

        return dict(self.problem.unseen(chain([columns], iter(by_lot, None)), known))

    def _promising(self, trials: Sequence[FrozenTrial], generation: int, region: Region, known: set,
                   random: np.random.Generator) -> dict[str, Any]:
        from mcunas.search.asktell.gaussian import Gaussian

        own = [t for t in trials[region.started * self.generation:generation * self.generation] if self._counts(t)]
        if len(own) < 2:
            return self._spread(region, int(random.integers(1 << 30)), known, random)
        points = np.array([self._encoded(self.problem.point(t.params)) for t in own])
        values = np.array([t.values[0] for t in own])
        if self._model[0] != generation:
            self._model = generation, Gaussian(points, values, self.is_ordered)
        model, centre = self._model[1], points[int(values.argmax())]
        candidates = self._candidates(centre, random)
        if not self.is_global:
            weights = np.clip(model.lengthscales / np.exp(np.log(model.lengthscales).mean()), *WEIGHTS)
            apart = distances(candidates, centre, self.is_ordered, weights)
            near = candidates[(apart <= region.reach) & (apart > 0)]
            candidates = near if len(near) else candidates
        drawn = model.draw(candidates, int(random.integers(1 << 31)))
        for k in np.argsort(-drawn, kind="stable")[:PRICED]:
            point = self._decoded(candidates[k])
            genotype = self.problem.genotype(point)
            if genotype.key not in known and self.problem.violation(self.problem.price(genotype)) <= 0:
                return point
        return self._spread(region, int(random.integers(1 << 30)), known, random)

    def _candidates(self, centre: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """(N, G): all points where they are few, else points by lot that keep most of the centre's genes."""
        if self.genes.count <= CANDIDATES:
            return np.array([self._encoded(p) for p in self.genes.points()])
        options = list(self.genes.options.values())
        drawn = np.stack([random.integers(len(v), size=CANDIDATES) / (max(len(v) - 1, 1) if o else 1)
                          for v, o in zip(options, self.is_ordered)], 1)
        if self.is_global:
            return drawn
        changed = random.random(drawn.shape) < min(1.0, PERTURBED / len(options)) * random.random((CANDIDATES, 1))
        changed[np.arange(CANDIDATES), random.integers(len(options), size=CANDIDATES)] = True
        return np.where(changed, drawn, centre)

    def _encoded(self, point: dict[str, Any]) -> np.ndarray:
        """(G,): ordered genes in [0, 1], others by index."""
        return np.array([values.index(point[gene]) / (max(len(values) - 1, 1) if ordered else 1)
                         for (gene, values), ordered in zip(self.genes.options.items(), self.is_ordered)])

    def _decoded(self, row: np.ndarray) -> dict[str, Any]:
        return {gene: values[round(float(x) * (len(values) - 1 if ordered else 1))]
                for (gene, values), ordered, x in zip(self.genes.options.items(), self.is_ordered, row)}
