# SPDX-License-Identifier: Apache-2.0
"""RAN-explicit: which inverted bottlenecks lose their inner activations and collapse to one dense convolution.

Bhardwaj et al., arXiv 2208.08562. A slot takes the bottleneck or its restructured form (mcunas.space.blocks.restructured),
unless the description of the space says otherwise; that is a choice like any other, and it is searched as fbnet searches,
under exact RAM, flash and latency. `always` with one of the two is what to compare it with: bottlenecks everywhere, and
only as many collapsed as the budget demands; or all collapsed.
"""
from __future__ import annotations

from mcunas.search import fbnet
from mcunas.search.nas.run import NasRun
from mcunas.space import Genotype

SETTINGS = fbnet.SETTINGS
SPACE = {"options": ["mb3_e4", "ran3_e4"]}      # of the description, where the search is not asked for others


def choose(run: NasRun) -> Genotype:
    """The found pattern; how many blocks collapse is in the facts. Resumes where `run` stands."""
    genotype = fbnet.choose(run)
    run.facts |= {"collapsed": sum(option.startswith("ran") for option in genotype.choices.values())}
    return genotype
