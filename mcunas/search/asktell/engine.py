# SPDX-License-Identifier: Apache-2.0
"""The ask/tell loop: a generation is asked for, its networks are evaluated anywhere, and it is told in the order asked.

A method is an Optuna sampler: Optuna's own (TPE, NSGA-II, random) or one of this package. It sees a study of finished
trials and gives the next parameters; what it draws depends on the seed, the trial's number and the trials of earlier
generations alone. Since a whole generation is asked for before any of it is told, and told by number, the study is the
same whatever the number of workers, whoever of them died, and wherever the search was interrupted.

A trial holds in its user attributes: "key" and "genotype", "figures" (prices, and once it is evaluated all of them),
"attempts" begun, "lost" ones and "lost_seconds"; "same_as" the earlier trial with the same network, which costs nothing.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from mcunas.errors import InputError
from mcunas.search.asktell.fidelity import Evaluator, Fidelity
from mcunas.search.asktell.problem import Problem
from mcunas.search.asktell.workers import Job, Outcome, Workers
from mcunas.space import Genotype

SamplerOf = Callable[[int], optuna.samplers.BaseSampler]      # seed of one trial -> sampler
Progress = Callable[[int, int, dict[str, Any]], None]           # evaluated, of how many, figures of the last one
REPEATS = 4         # trials per evaluation, at most: a method that repeats itself ends
HOPELESS = 4        # generations without a network that fits: the search ends


@dataclass(frozen=True)
class Seen:
    """A network of the study. figures: prices and the evaluator's. number: of the trial that paid for it."""

    number: int
    genotype: Genotype
    point: dict[str, Any]
    figures: dict[str, float]


@dataclass(frozen=True)
class Spent:
    """What a study has cost. lost: attempts whose worker died, or that were under way when the driver did."""

    evaluations: int
    samples: int
    cpu_seconds: float
    lost: int
    lost_seconds: float


class Search:
    """One study in progress. sampler_of: gives the method for a trial's seed; it may return the same object each time.

    generation: trials that are asked for at once, the most that can be evaluated in parallel. The sampler works on a copy of
    the study in memory, so that a trial gets into the storage whole or not at all.
    """

    def __init__(self, study: optuna.Study, problem: Problem, sampler_of: SamplerOf, evaluator: Evaluator,
                 fidelity: Fidelity, seed: int, generation: int, workers: Workers,
                 progress: Progress | None = None) -> None:
        self.study, self.problem, self.sampler_of = study, problem, sampler_of
        self.evaluator, self.fidelity, self.seed = evaluator, fidelity, seed
        self.generation, self.workers = generation, workers
        self.progress = progress or (lambda *unused: None)
        self._memory = optuna.create_study(directions=[d.name.lower() for d in study.directions])
        self._stored: list[int] = []                                    # trial ids, by number
        self._known: dict[str, tuple[int, dict[str, float]]] = {}       # key -> (trial, figures), of told trials

    def run(self, evaluations: int) -> list[Seen]:
        """Go on until so many networks are evaluated; all networks that are, in the order of their trials."""
        self._recover()
        done = 0
        while True:
            trials = [self._ask(number) for number in range(done, done + self.generation)]
            self._evaluate(trials, evaluations)
            for number in range(done, done + self.generation):
                self._tell(number)
            done += self.generation
            is_hopeless = not self._known and done >= HOPELESS * self.generation
            if len(self._known) >= evaluations or done >= REPEATS * evaluations or is_hopeless:
                return seen(self.study, self.problem)

    def _recover(self) -> None:
        """Take up what the storage holds. What an interrupted search had begun and not finished was lost."""
        for trial in self.study.get_trials():
            self._memory.add_trial(trial)
            self._stored.append(trial._trial_id)
            attrs = trial.user_attrs
            if not (trial.state.is_finished() or attrs.get("evaluated")) and attrs.get("attempts", 0) > attrs.get("lost", 0):
                self._set(trial.number, "lost", attrs["attempts"])

    def _ask(self, number: int) -> FrozenTrial:
        """The trial of that number: told, or asked for and interrupted, or new."""
        if number == len(self._stored):
            self._memory.sampler = self.sampler_of((self.seed * 1_000_003 + number) % (1 << 32))
            trial = self._memory.ask(self.problem.distributions())
            genotype = self.problem.genotype(self.problem.point(trial.params))
            prices = self.problem.price(genotype)
            trial.set_constraint("budget", self.problem.violation(prices))
            for name, value in (("key", genotype.key), ("genotype", genotype.fields()), ("figures", prices)):
                trial.set_user_attr(name, value)
            self.study.add_trial(self._trial(number))
            added = self.study.get_trials(deepcopy=False)
            if len(added) != number + 1:
                raise InputError("another process writes into this study", where=self.study.study_name,
                                 fix="let one search use it, with as many workers as you like")
            self._stored.append(added[number]._trial_id)
        return self._trial(number)

    def _trial(self, number: int) -> FrozenTrial:
        return self._memory.get_trials(deepcopy=False)[number]

    def _set(self, number: int, name: str, value: Any) -> None:
        """A user attribute, in the storage first."""
        self.study._storage.set_trial_user_attr(self._stored[number], name, value)
        self._memory._storage.set_trial_user_attr(self._trial(number)._trial_id, name, value)

    def _evaluate(self, trials: Sequence[FrozenTrial], evaluations: int) -> None:
        """Evaluate each network of the generation that fits and is not known, up to the number of evaluations."""
        wanted: dict[str, FrozenTrial] = {}
        for trial in trials:
            if trial.state.is_finished():
                self._learn(trial)
        for trial in trials:
            attrs, room = trial.user_attrs, len(self._known) + len(wanted) < evaluations
            if room and self.problem.violation(attrs["figures"]) <= 0 and not trial.state.is_finished() and (
                    attrs["key"] not in self._known):
                wanted.setdefault(attrs["key"], trial)
        jobs = [Job(t.number, Genotype.of_fields(t.user_attrs["genotype"]), self.evaluator, self.fidelity, self.seed)
                for t in wanted.values() if not t.user_attrs.get("evaluated")]
        count = len(self._known) + len(wanted) - len(jobs)
        for outcome in self.workers.results(jobs, self._begun):
            self._keep(outcome)
            count += outcome.figures is not None
            self.progress(count, evaluations, {**self._trial(outcome.number).user_attrs["figures"]})

    def _begun(self, number: int) -> None:
        self._set(number, "attempts", self._trial(number).user_attrs.get("attempts", 0) + 1)

    def _keep(self, outcome: Outcome) -> None:
        """Into the storage as soon as it is there, so that an interruption costs what is under way and no more."""
        number, attrs = outcome.number, self._trial(outcome.number).user_attrs
        if outcome.lost:
            self._set(number, "lost", attrs.get("lost", 0) + outcome.lost)
            self._set(number, "lost_seconds", attrs.get("lost_seconds", 0.0) + outcome.lost_seconds)
        if outcome.figures is not None:
            self._set(number, "figures", {**attrs["figures"], **outcome.figures})
            self._set(number, "evaluated", True)

    def _tell(self, number: int) -> None:
        """Values of what is evaluated or known; pruned where the evaluations are spent or every attempt's worker died.

        What does not fit is told with the values of a network that knows nothing: the constraint sorts it behind all others.
        """
        trial = self._trial(number)
        if trial.state.is_finished():
            return
        attrs, values = trial.user_attrs, None
        if self.problem.violation(attrs["figures"]) > 0:
            values = self.problem.values({"accuracy": 0.0, **attrs["figures"]})
        elif attrs["key"] in self._known:
            of, figures = self._known[attrs["key"]]
            self._set(number, "same_as", of)
            values = self.problem.values(figures)
        elif attrs.get("evaluated"):
            values = self.problem.values(attrs["figures"])
            self._learn(trial)
        for study in (self.study, self._memory):
            study.tell(number, values, state=None if values else TrialState.PRUNED)

    def _learn(self, trial: FrozenTrial) -> None:
        if trial.user_attrs.get("evaluated"):
            self._known.setdefault(trial.user_attrs["key"], (trial.number, trial.user_attrs["figures"]))


def seen(study: optuna.Study, problem: Problem) -> list[Seen]:
    """Networks that were evaluated and told, in the order of their trials."""
    return [Seen(t.number, Genotype.of_fields(t.user_attrs["genotype"]), problem.point(t.params), t.user_attrs["figures"])
            for t in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if t.user_attrs.get("evaluated") and "same_as" not in t.user_attrs]


def spent(study: optuna.Study) -> Spent:
    """Of the whole study, whoever evaluated it and however often it was interrupted."""
    attrs = [t.user_attrs for t in study.get_trials(deepcopy=False)]
    done = [a["figures"] for a in attrs if a.get("evaluated")]
    return Spent(len(done), int(sum(f.get("samples", 0) for f in done)), sum(f.get("cpu_seconds", 0.0) for f in done),
                 sum(a.get("lost", 0) for a in attrs), sum(a.get("lost_seconds", 0.0) for a in attrs))


def front(nets: Sequence[Seen], small: Sequence[str] = ("cycles",), large: Sequence[str] = ("accuracy",)) -> list[Seen]:
    """Networks that no other is as good as in all of these figures and better in one, by rising cost. Equals all stay."""
    def of(net: Seen) -> tuple[float, ...]:
        return (*(net.figures[s] for s in small), *(-net.figures[name] for name in large))

    points = [(of(n), n) for n in nets]
    kept = [(p, n) for p, n in points if not any(all(a <= b for a, b in zip(q, p)) and q != p for q, _ in points)]
    return [n for _, n in sorted(kept, key=lambda pair: (pair[0], pair[1].number))]
