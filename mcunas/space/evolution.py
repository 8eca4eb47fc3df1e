# SPDX-License-Identifier: Apache-2.0
"""Multi-objective evolution over the options of slots: NSGA-II (Deb et al., 2002) as Optuna implements it, ask and tell.

Networks over the budget are told with how much they violate it: among those the lesser violation wins, and any that fits
beats any that does not (Deb's rule). Equal genotypes are evaluated once.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Choices = Mapping[str, str]         # slot -> option


@dataclass(frozen=True)
class Scored:
    """choices: slot -> option. values: objectives, lower is better. violation: 0 when it fits, else by how much not."""

    choices: dict[str, str]
    values: tuple[float, ...]
    violation: float = 0.0


def evolve(alive: Mapping[str, Sequence[str]], evaluate: Callable[[Choices], Scored], population: int, generations: int,
           seed: int, known: Sequence[Choices] = (), objectives: int = 2) -> list[Scored]:
    """All networks seen, in the order of their first appearance. known: networks to begin with; the rest is random.

    evaluate: choices -> Scored, whose choices may be a canonical form of what was asked. `population * generations` are
    asked for; what has been seen already costs nothing.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.NSGAIISampler(population_size=population, seed=seed)
    study = optuna.create_study(directions=["minimize"] * objectives, sampler=sampler)
    for choices in known:
        study.enqueue_trial(dict(choices))
    asked: dict[tuple[str, ...], Scored] = {}
    found: dict[tuple[str, ...], Scored] = {}
    for _ in range(population * generations):
        trial = study.ask()
        choices = {slot: trial.suggest_categorical(slot, list(options)) for slot, options in alive.items()}
        key = tuple(choices.values())
        if key not in asked:
            scored = evaluate(choices)
            asked[key] = found.setdefault(tuple(scored.choices.values()), scored)
        trial.set_constraint("budget", asked[key].violation)
        study.tell(trial, list(asked[key].values))
    return list(found.values())


def rank(nets: Sequence[Scored]) -> list[list[Scored]]:
    """Fronts of non-dominated networks, best first; those that do not fit come after all that do, by violation."""
    rest, fronts = [n for n in nets if n.violation <= 0], []
    while rest:
        front = [n for n in rest if not any(_dominates(m, n) for m in rest)]
        fronts.append(front)
        rest = [n for n in rest if n not in front]
    over = sorted((n for n in nets if n.violation > 0), key=lambda n: n.violation)
    return fronts + [[n] for n in over]


def _dominates(a: Scored, b: Scored) -> bool:
    return all(x <= y for x, y in zip(a.values, b.values)) and a.values != b.values
