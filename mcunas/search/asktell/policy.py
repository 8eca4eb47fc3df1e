# SPDX-License-Identifier: Apache-2.0
"""A policy-gradient controller as an Optuna sampler: a categorical distribution per gene, moved by clipped PPO.

MnasNet samples with a recurrent network and trains it by PPO over 8,000 networks. At tens of evaluations that has more
parameters than evidence, so ours is the factorized policy, pi(point) = product over genes of softmax(logits of the gene)
(nas-methods.md, paper 15), with the paper's objective and PPO's clipped steps on the rewards of the last generations. The
logits are a function of the study: they are replayed from its trials, so that nothing but the study has to be kept.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import rankdata

from mcunas.search.asktell.problem import Problem

STEPS, CLIP = 6, 0.5        # of PPO, on the window
WINDOW = 8                  # generations: what was drawn a little ago still says something


@dataclass(frozen=True)
class Rule:
    """rate: of a step on the logits. entropy: its weight in the objective, falling to 0 over `generations`."""

    rate: float = 3.0
    entropy: float = 0.2
    generations: int = 16


class Policy:
    """Logits per gene and how rewards move them."""

    def __init__(self, genes: Mapping[str, Sequence[Any]], rule: Rule) -> None:
        self.genes, self.rule, self.updates = genes, rule, 0
        self.logits = {gene: np.zeros(len(values)) for gene, values in genes.items()}
        self._window: deque[_Drawn] = deque(maxlen=WINDOW)

    def probs(self) -> dict[str, np.ndarray]:
        return {gene: _softmax(logits) for gene, logits in self.logits.items()}

    def draw(self, random: np.random.Generator) -> dict[str, Any]:
        return {gene: values[int(random.choice(len(values), p=p))]
                for (gene, values), p in zip(self.genes.items(), self.probs().values())}

    def entropy(self) -> float:
        """Of the policy over the most it can be: 1 = has learned nothing, 0 = has decided."""
        most = sum(np.log(len(v)) for v in self.genes.values())
        return float(-sum((p * np.log(np.maximum(p, 1e-12))).sum() for p in self.probs().values()) / most)

    def update(self, points: Sequence[Mapping[str, Any]], rewards: Sequence[float]) -> None:
        """One generation. Advantages are ranks within the window: the rate has no unit, and one network of next to no reward
        does not hide what is between the others."""
        picked = np.array([[values.index(p[gene]) for gene, values in self.genes.items()] for p in points])
        self._window.append(_Drawn(picked, np.asarray(rewards, float), self._log_probs(picked)))
        picked, reward, old = (np.concatenate(column) for column in zip(*self._window))
        rank = rankdata(reward)
        advantage = (rank - rank.mean()) / max(float(rank.std()), 1e-9)
        weight = self.rule.entropy * max(1 - self.updates / self.rule.generations, 0.0)
        for _ in range(STEPS):
            ratio = np.exp(np.clip(self._log_probs(picked) - old, -5, 5))
            is_open = np.where(advantage > 0, ratio < 1 + CLIP, ratio > 1 - CLIP)      # beyond it PPO has no slope
            pull = np.where(is_open, np.minimum(ratio, 2) * advantage, 0.0)
            for column, (gene, p) in zip(picked.T, self.probs().items()):
                hit = np.eye(len(p))[column]
                self.logits[gene] += self.rule.rate * ((pull[:, None] * (hit - p)).mean(0) + weight * _entropy_slope(p))
        self.updates += 1

    def _log_probs(self, picked: np.ndarray) -> np.ndarray:
        """(N,) of indices (N, G)."""
        return sum(np.log(np.maximum(p, 1e-12))[column] for column, p in zip(picked.T, self.probs().values()))


class _Drawn(NamedTuple):
    """A generation: indices (N, G), rewards (N,), log-probabilities (N,) when they were drawn."""

    picked: np.ndarray
    rewards: np.ndarray
    log_probs: np.ndarray


class PolicySampler(optuna.samplers.BaseSampler):
    """For one trial: `seeded` gives it the trial's seed. generation: as of the Search."""

    def __init__(self, problem: Problem, generation: int, rule: Rule = Rule()) -> None:
        self.problem, self.generation, self.rule, self.seed = problem, generation, rule, 0
        self._policies: dict[int, Policy] = {}

    def seeded(self, seed: int) -> PolicySampler:
        self.seed = seed
        return self

    def policy(self, trials: Sequence[FrozenTrial], generations: int) -> Policy:
        """After so many generations of the study."""
        if generations not in self._policies:
            policy = Policy(self.problem.genes.options, self.rule)
            for k in range(generations):
                own = [t for t in trials[k * self.generation:(k + 1) * self.generation]
                       if t.state == TrialState.COMPLETE and self.problem.violation(t.user_attrs["figures"]) <= 0]
                if own:
                    policy.update([self.problem.point(t.params) for t in own], [t.values[0] for t in own])
            self._policies[generations] = policy
        return self._policies[generations]

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.problem.distributions()

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
                        ) -> dict[str, Any]:
        """A draw that fits and is not in the study (Problem.unseen)."""
        trials = study.get_trials(deepcopy=False)
        policy = self.policy(trials, trial.number // self.generation)
        known, random = {t.user_attrs.get("key") for t in trials}, np.random.default_rng(self.seed)
        return self.problem.params(self.problem.unseen(iter(lambda: policy.draw(random), None), known))

    def sample_independent(self, study: optuna.Study, trial: FrozenTrial, name: str, distribution: BaseDistribution) -> Any:
        raise AssertionError(f"{name} is no gene of the problem")


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max())
    return e / e.sum()


def _entropy_slope(p: np.ndarray) -> np.ndarray:
    """d entropy / d logits."""
    log = np.log(np.maximum(p, 1e-12))
    return -p * (log - (p * log).sum())
