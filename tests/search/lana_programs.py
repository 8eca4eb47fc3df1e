# SPDX-License-Identifier: Apache-2.0
"""Programs for LANA's solver of the shape that cells and their candidates give, of any size; deterministic."""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcunas.search.lana.program import Program, Row

KERNELS = 12        # that the candidates call, each one to three of them
DELETED = 0.1       # of the candidates, which exceed the RAM by themselves
PAIRS = 30          # of neighbours that exceed it together


def like_cells(seed: int, slots: int = 20, options: int = 40, cycles: float = 0.4, flash: float = 0.6) -> Program:
    """Option 0 is the teacher's own: it adds no loss, and the cheaper another is, the more it does, on the whole.

    cycles, flash: the budget, over what the teacher takes. Flash is data, and the code of each kernel once.
    """
    random = np.random.default_rng(seed)
    scores, took, data = [], [], []
    for size in np.exp(random.normal(0, 0.7, slots)):
        share = np.exp(random.uniform(np.log(0.05), 0, options))
        share[0] = 1
        took.append(np.round(2e5 * size * share * np.exp(random.normal(0, 0.3, options))))
        data.append(np.round(6e3 * size * share * np.exp(random.normal(0, 0.4, options))))
        score = 0.05 * size * (share ** -0.5 - 1) * np.exp(random.normal(0, 0.5, options))
        is_gone = (random.random(options) < DELETED) & (np.arange(options) > 0)
        scores.append(np.where(is_gone, np.inf, score))
    called = [np.array([np.isin(np.arange(KERNELS), random.choice(KERNELS, random.integers(1, 4), replace=False))
                        for _ in range(options)]) for _ in range(slots)]
    charges = tuple((float(random.integers(400, 3000)), tuple(c[:, k] for c in called)) for k in range(KERNELS))
    teacher, rows = (0,) * slots, (Row(tuple(took), 0.0), Row(tuple(data), 0.0, charges))
    limits = [share * row.value(teacher) for share, row in zip((cycles, flash), rows)]
    pairs = tuple(frozenset({(at, int(random.integers(1, options))), (at + 1, int(random.integers(1, options)))})
                  for at in random.integers(0, slots - 1, PAIRS).tolist())
    return Program(tuple(scores), tuple(replace(row, limit=limit) for row, limit in zip(rows, limits)), pairs)
