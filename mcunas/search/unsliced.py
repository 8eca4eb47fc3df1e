# SPDX-License-Identifier: Apache-2.0
"""An arm for tables: diffprune with masks only, cut once at its projection. Shows what slicing saves."""
from __future__ import annotations

from mcunas.prune.constraints import Constraints
from mcunas.search import diffprune
from mcunas.search.run import Run


def shape(run: Run) -> None:
    """As diffprune's, at the dense network's cost per epoch."""
    constraints = Constraints(run.budget, run.resources.bound(run.dense_widths))
    diffprune.prune(run, constraints, run.resources.soft, slices=False)
