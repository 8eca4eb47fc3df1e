# SPDX-License-Identifier: Apache-2.0
"""RAN-implicit: width and depth without any training (Bhardwaj et al., arXiv 2208.08562; mcunas.space.nn_mass).

For every depth that the space allows, the widest network that fits the budget exactly; of these the one with the largest
NN-Mass. A space with more slots in a stage can be scaled further.
"""
from __future__ import annotations

from mcunas.errors import DoesNotFit
from mcunas.search.nas.run import NasRun
from mcunas.space import Genotype
from mcunas.space.nn_mass import nn_mass, scalings

SETTINGS = {"option": "mb3_e4"}
SPACE = {"options": ["mb3_e4", "skip"]}     # of the description, where the search is not asked for others
NARROWS = True


def choose(run: NasRun) -> Genotype:
    """No training is spent. Raises InputError for an option that no slot has, DoesNotFit when no width fits at any depth."""
    run.demand_option(run.settings["option"])
    found = [(nn_mass(genotype), depth, multiplier, genotype) for depth, multiplier, genotype in
             scalings(run.space, run.settings["option"], lambda g: run.prices.fits(g, run.budget))]
    if not found:
        raise DoesNotFit("no width fits at any depth", where=run.board.key, fix="raise the budget")
    run.facts |= {"scalings": [{"depth": depth, "multiplier": multiplier, "nn_mass": mass}
                               for mass, depth, multiplier, _ in found]}
    return max(found, key=lambda f: f[0])[3]
