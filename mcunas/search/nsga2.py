# SPDX-License-Identifier: Apache-2.0
"""Multi-objective evolution of detection backbones with weight mapping (Zhang et al., arXiv 2211.02791).

From the paper: non-dominated sorting instead of a weighted sum; depth, width and expansion are searched, and candidates map
their weights from a seed detector, so that none is trained from scratch. Ours (nas-methods.md, paper 14): the kernel too;
exact cycles, RAM and flash as objectives beside the metric, the budget as a constraint; the rules of mapping (space/
mapping.py); Optuna's NSGA-II. The most accurate candidate that fits goes on from its mapped weights.
"""
from __future__ import annotations

from mcunas.search.evolved import SETTINGS as SHARED
from mcunas.search.evolved import Wanted, best, candidates, demand_known, in_every_stage, parent, scaled
from mcunas.search.nas.run import NasRun
from mcunas.space import Genotype
from mcunas.space.factored import Factored

# sampler: "nsga2", "random", "tpe"; "scaled" for the parent with all its widths scaled alike to the budget, by hand.
# weight: above 0, one objective instead of four: the metric less `weight` times the largest share of a budget.
FACTORS = {"op": ("mb2", "mb3", "mb4", "mb6"), "kernel": (3, 5), "width": (0.5, 0.75, 1.0, 1.25, 1.5)}
SETTINGS = {**SHARED, "sampler": "nsga2", "weight": 0.0, "factors": {k: list(v) for k, v in FACTORS.items()}}
NARROWS = PARALLEL = True          # below the described widths, too
PARENT = {"op": "mb3", "kernel": 3, "layers": 2, "width": 1.0}


def choose(run: NasRun) -> Genotype:
    """Where no candidate fits, the parent scaled by hand. Raises InputError for unknown settings."""
    demand_known(run, "scaled")
    factored = Factored(run.space, run.settings["factors"])
    seed = factored.genotype(in_every_stage(factored, PARENT))
    inherited = parent(run, seed, run.task)
    sampler, found = run.settings["sampler"], None
    if sampler != "scaled":
        found = best(run, candidates(run, factored, inherited, sampler, wanted(run)), inherited)
    found = found or scaled(run, factored, PARENT)
    if run.settings["mapping"] != "scratch":
        run.begun = inherited(found)
    return found


def wanted(run: NasRun) -> Wanted:
    """The metric up, cycles, RAM and flash down; or their weighted sum."""
    weight = run.settings["weight"]
    if weight > 0:
        return Wanted(("maximize",), lambda f: (f["accuracy"] - weight * f["use"],), lambda f: f["use"] - 1)
    return Wanted(("maximize", "minimize", "minimize", "minimize"),
                  lambda f: (f["accuracy"], f["cycles"], f["ram_bytes"], f["flash_bytes"]), lambda f: f["use"] - 1)
