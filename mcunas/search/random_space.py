# SPDX-License-Identifier: Apache-2.0
"""Random search in a space under the budget, with the same ledger: the arm that every search must beat.

It spends the samples that a gradient search spends on its supernet: networks that fit and use the budget are drawn at
random, each trained for `candidate_epochs` as the last stage of every search does (nas/finals.py), and the best on the
validation split is chosen. A supernet step runs all options, a candidate's step one; `times` gives random search so many
times the samples, to equal CPU seconds instead.
"""
from __future__ import annotations

import torch

from mcunas.errors import DoesNotFit
from mcunas.search.nas import finals
from mcunas.search.nas.derive import LEAST_USE, share
from mcunas.search.nas.run import NasRun
from mcunas.space import Genotype
from mcunas.space.price import SLACK

# least_use: of the scarcest resource, so that no draw is wasted on networks that are smaller than they may be.
SETTINGS = {"candidate_epochs": 2, "times": 1.0, "least_use": LEAST_USE}
DRAWS = 2_000


def choose(run: NasRun) -> Genotype:
    """The best of as many random networks as the samples of the search allow, at least one. Resumes where `run` stands."""
    count = max(round(run.search_epochs * run.settings["times"] / run.settings["candidate_epochs"]), 1)
    while len(tried := run.notes.get("tried", [])) < count:
        genotype = draw(run, len(tried), {t["key"] for t in tried})
        if genotype is None:
            break
        finals.attempt(run, genotype, count)
    return finals.best_tried(run)


def draw(run: NasRun, number: int, known: set[str]) -> Genotype | None:
    """A random network that fits and uses at least `least_use` of what is scarcest; less where none is found; None
    where all that fit are known. Raises DoesNotFit when none fits at all.
    """
    random, best, most = run.noise(number), None, 0.0
    for _ in range(DRAWS):
        choices = {slot: options[int(torch.randint(len(options), (), generator=random))]
                   for slot, options in run.feasible.items()}
        genotype = run.space.genotype(choices)
        used = share(run, genotype)
        if genotype.key in known or not most < used <= SLACK:
            continue
        if run.prices.fits(genotype, run.budget):
            best, most = genotype, used
            if used >= run.settings["least_use"]:
                break
    if best is None and not known:
        raise DoesNotFit(f"none of {DRAWS} random networks fits", where=run.board.key, fix="raise the budget")
    return best
