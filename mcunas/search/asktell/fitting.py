# SPDX-License-Identifier: Apache-2.0
"""A sampler that is asked again while what it says does not fit or is known: exact prices come before any training, so
that a trial need not be spent on either. Where few networks of a space fit, none else would be tried at all."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from mcunas.search.asktell.problem import Problem

APART = 7_919       # between the seeds of two draws of a trial


class FittingSampler(optuna.samplers.BaseSampler):
    """For one trial: `seeded` gives it the trial's seed. sampler_of: seed -> the sampler that is asked."""

    def __init__(self, problem: Problem, sampler_of: Callable[[int], optuna.samplers.BaseSampler]) -> None:
        self.problem, self.sampler_of = problem, sampler_of
        self.seeded(0)

    def seeded(self, seed: int) -> FittingSampler:
        self.seed, self._inner = seed, self.sampler_of(seed)
        return self

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.problem.distributions()

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
                        ) -> dict[str, Any]:
        known = {t.user_attrs.get("key") for t in study.get_trials(deepcopy=False)}
        drawn = (self._drawn(self.sampler_of((self.seed + APART * draw) % (1 << 32)), study, trial, search_space)
                 for draw in count())
        return self.problem.params(self.problem.unseen(map(self.problem.point, drawn), known))

    def _drawn(self, sampler: optuna.samplers.BaseSampler, study: optuna.Study, trial: FrozenTrial,
               search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """As a trial is suggested: together what the sampler says together, the rest on its own."""
        together = sampler.sample_relative(study, trial, sampler.infer_relative_search_space(study, trial))
        return {name: together[name] if name in together else sampler.sample_independent(study, trial, name, distribution)
                for name, distribution in search_space.items()}

    def sample_independent(self, study: optuna.Study, trial: FrozenTrial, name: str, distribution: BaseDistribution) -> Any:
        raise AssertionError(f"{name} is no gene of the problem")

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._inner.before_trial(study, trial)

    def after_trial(self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
                    ) -> None:
        self._inner.after_trial(study, trial, state, values)
