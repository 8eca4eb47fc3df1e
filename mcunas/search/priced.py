# SPDX-License-Identifier: Apache-2.0
"""An arm for tables: prices alone decide. Every e-fold of a width is worth the same; the exact projection does the rest.

What diffprune gains over this arm is what it learned.
"""
from __future__ import annotations

from mcunas.prune.masks import Widths
from mcunas.search.cut import fitting
from mcunas.search.run import Run


def shape(run: Run) -> None:
    """Give `run.net` the widths that the projection finds from the dense ones; no training is spent."""
    if run.is_projected:
        return
    widths = Widths(run.channels)
    value = [widths.worth(g) for g in range(len(run.widths))]
    run.reshape(fitting(run, run.widths, value, widths.least.int().tolist(), run.widths))
    run.is_projected = True
