# SPDX-License-Identifier: Apache-2.0
"""The other arm that every table needs: random widths that fit, drawn once per seed and filled in random order."""
from __future__ import annotations

import numpy as np

from mcunas.prune.masks import LEAST_WIDTH
from mcunas.prune.project import project
from mcunas.search.run import Run


def shape(run: Run) -> None:
    """Give `run.net` random widths, dropped and filled at random until the budgets are used; no training is spent."""
    if run.is_projected:
        return
    random = np.random.default_rng(run.seed)
    full = run.widths
    least = [min(LEAST_WIDTH, f) for f in full]
    drawn = [round(float(np.exp(random.uniform(np.log(low), np.log(f))))) for low, f in zip(least, full)]
    value = [random.uniform(0.1, 1.0, f) for f in full]
    run.reshape(project(drawn, value, lambda w: run.resources.bound(w).ratios(run.budget),
                        lambda w: run.resources.exact(w).ratios(run.budget), least, full))
    run.is_projected = True
