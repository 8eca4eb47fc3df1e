# SPDX-License-Identifier: Apache-2.0
"""From trained candidates to one network: scores, programs on the way to the budget, and a look at what they propose.

Scores add up near the teacher only. So a first program asks for half of the way, what it gives is assembled and every
candidate is scored again around it, and the last program holds the budget (nas-methods.md, paper 5). Where half of the
way is far from the teacher, scores around it may be worse than the first ones (a quarter of the cycles: 1.83 against 1.51
of loss), so programs with either propose. They give several choices that differ; each is assembled, and the one with the
least loss on training images is kept.
"""
from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from mcunas.budget import Budget
from mcunas.cost import Cost
from mcunas.search.lana.baselines import by_greed, by_lot, shuffled
from mcunas.search.lana.candidates import Candidate, make
from mcunas.search.lana.choose import Chooser
from mcunas.search.lana.distil import scoring_data
from mcunas.search.lana.program import Chosen
from mcunas.search.lana.run import LanaRun
from mcunas.search.lana.score import added_losses, loss_of
from mcunas.space.blocks.collapsible import collapsed

JUDGE_STREAM = 17       # of seeds: other images than those that gave the scores


class Assembler:
    """results: per cell, what `distil` gave."""

    def __init__(self, run: LanaRun, results: Sequence[dict[str, Any]]) -> None:
        self.run, self.results = run, results
        self._modules: dict[tuple[int, int], nn.Module] = {}
        self.rescored_samples = self.judged_samples = 0

    def modules(self, chosen: Chosen) -> list[nn.Module]:
        """The cells of a choice with their trained weights; not to be trained further."""
        return [self._module(at, k) for at, k in enumerate(chosen)]

    def _module(self, at: int, k: int) -> nn.Module:
        if k == 0:
            return self.run.cells[at].module
        if (at, k) not in self._modules:
            module = make(self.run.cells[at], self.run.pools[at][k])
            module.load_state_dict(self.results[at]["weights"][self.run.pools[at][k].name])
            self._modules[at, k] = collapsed(module).eval()
        return self._modules[at, k]

    def first_scores(self) -> list[np.ndarray]:
        """Per cell, what each candidate adds to the teacher's loss; the teacher's own adds nothing."""
        return [floored([0.0, *(result["scores"][c.name] for c in pool[1:])])
                for result, pool in zip(self.results, self.run.pools)]

    def scores_around(self, chosen: Chosen) -> list[np.ndarray]:
        """Per cell, what each candidate adds to the loss of the choice it is exchanged in."""
        data = scoring_data(self.run.task, self.run.seed, self.run.settings["score_images"])
        around, scores = self.modules(chosen), []
        for at, pool in enumerate(self.run.pools):
            options = [self._module(at, k) for k in range(len(pool))]
            added = added_losses(around, at, options, data, self.run.task.objective) if len(pool) > 1 else [0.0]
            self.rescored_samples += len(options) * sum(len(y) for _, y in data)
            scores.append(known(added) - np.nanmin(added))
        return scores

    def judge(self, choices: Sequence[Chosen]) -> list[float]:
        """Loss of each on training images."""
        run = self.run
        data = scoring_data(run.task, run.seed + JUDGE_STREAM, run.settings["judged_images"])
        self.judged_samples += len(choices) * sum(len(y) for _, y in data)
        return [loss_of(copy.deepcopy(self.modules(chosen)), data, run.task.objective) for chosen in choices]

    def choose(self) -> tuple[Chosen, dict[str, Any]]:
        """(the choice, facts about how it was made). Raises DoesNotFit."""
        started = time.process_time()
        scores, way = self._on_the_way(self.first_scores())
        before = time.perf_counter()
        choices, facts = self._all_proposed(scores)
        spent = time.perf_counter() - before
        losses = self.judge(choices)
        return choices[int(np.argmin(losses))], {
            **facts, "choice_seconds": spent, "way": way, "losses": losses, "choices": [list(c) for c in choices],
            "additive": [float(sum(s[k] for s, k in zip(scores[-1], c))) for c in choices],
            "teacher_loss": self.judge([(0,) * len(self.run.cells)])[0], "choose_cpu_seconds": time.process_time() - started}

    def _on_the_way(self, first: list[np.ndarray]) -> tuple[list[list[np.ndarray]], list[dict[str, Any]]]:
        """(scores of every round, the choices around which they were taken again)."""
        run, rounds, way, scores = self.run, self.run.settings["rounds"], [], [first]
        dense = run.prices.exact((0,) * len(run.cells))
        for part in range(1, rounds if run.settings["choice"] == "program" else 1):
            chosen = Chooser(run.prices, between(dense, run.budget, part / rounds), is_exact=False).best(scores[-1])
            if chosen is None:
                break
            way.append({"choice": list(chosen), "loss": self.judge([chosen])[0]})
            scores.append(self.scores_around(chosen))
        return scores, way

    def _all_proposed(self, rounds: list[list[np.ndarray]]) -> tuple[list[Chosen], dict[str, Any]]:
        """What each round's scores propose, as many solutions each as are asked for; equals once."""
        found = [self._proposed(scores, self.run.settings["solutions"]) for scores in rounds]
        facts = {name: sum(f[name] for _, f in found) for name in found[0][1]}
        return list(dict.fromkeys(choice for choices, _ in found for choice in choices)), facts

    def _proposed(self, scores: list[np.ndarray], count: int) -> tuple[Sequence[Chosen], dict[str, int]]:
        """Choices that fit, by the way that is asked for, at most `count`."""
        run, settings = self.run, self.run.settings
        random = np.random.default_rng(run.seed)
        if settings["choice"] == "lot":
            return by_lot(run.prices, run.budget, count, random), {}
        if settings["choice"] == "greed":
            return [by_greed(run.prices, run.budget, scores)], {}
        if settings["choice"] == "placebo":
            scores = shuffled(scores, random)
        found = Chooser(run.prices, run.budget).diverse(scores, count, settings["overlap"])
        return found.choices, {"programs": found.solved, "refused_by_exact_price": found.refused}

    def candidates(self, chosen: Chosen) -> list[Candidate]:
        return [pool[k] for pool, k in zip(self.run.pools, chosen)]


def floored(added: Sequence[float]) -> np.ndarray:
    """What seems to be better than the teacher is noise."""
    return np.maximum(known(added), 0.0)


def known(added: Sequence[float]) -> np.ndarray:
    """A candidate whose training has diverged, and which adds no number, is never chosen."""
    return np.nan_to_num(np.array(added), nan=np.inf, posinf=np.inf)


def between(dense: Cost, budget: Budget, part: float) -> Budget:
    """part 0: what the teacher takes, 1: the budget; never below the budget."""
    def at(most: float, limit: float) -> float:
        return max(limit, most + (limit - most) * part)

    return Budget(int(at(dense.ram_bytes, budget.ram_bytes)), int(at(dense.flash_bytes, budget.flash_bytes)),
                  at(dense.latency_us, budget.latency_us) if budget.latency_us else None)
