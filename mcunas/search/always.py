# SPDX-License-Identifier: Apache-2.0
"""One option everywhere: the arm that shows whether a space has an option that wins by itself.

Where it cannot stand, or where the budget does not let it, the fewest slots take another one.
"""
from __future__ import annotations

from mcunas.search.nas.derive import derive
from mcunas.search.nas.run import NasRun
from mcunas.space import Genotype

SETTINGS = {"option": "conv3x3"}
WANTED = 0.9            # its probability; the others share the rest


def choose(run: NasRun) -> Genotype:
    """No search is spent. Raises InputError for an option that no slot has, DoesNotFit."""
    option = run.settings["option"]
    run.demand_option(option)
    return derive(run, {slot: {o: WANTED if o == option else (1 - WANTED) / len(options) for o in options}
                        for slot, options in run.feasible.items()}, least_use=0.0)
