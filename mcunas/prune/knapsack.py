# SPDX-License-Identifier: Apache-2.0
"""The multiple-choice knapsack under several budgets: one width per channel group, greatest worth, every budget held.

After SMCP (Humble et al., arXiv 2211.02206): a group at n channels is worth the sum of its n best scores and costs what
the network costs at n with all other groups as they are. RAM is a row per schedule step, because its peak is below a
budget exactly when every step is. Several budgets would make a dynamic program large, so HiGHS solves it as an integer
program. Costs add up only near the present widths; whoever needs a guarantee projects afterwards (prune/project.py).
"""
from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

NODES = 20_000              # of the branch and bound; a limit of time would make results depend on the machine

Ratios = Callable[[tuple[int, ...]], np.ndarray]    # widths -> usage over budget, every entry must end <= 1


def solve(value: Sequence[np.ndarray], cost: Sequence[np.ndarray], limit: np.ndarray,
          gap: float = 0.0) -> tuple[int, ...] | None:
    """The option of each group that maximizes the summed value while summed costs stay within `limit`.

    value: per group (options,); cost: per group (options, resources); limit: (resources,), of order 1. gap: relative
    loss of value that is accepted. Returns option indices, or None where nothing fits (or was found in NODES).
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import block_diag, csr_array, vstack

    worst = sum(c.max(axis=0) for c in cost)
    rows = np.flatnonzero(worst > limit)            # the others cannot bind
    one_each = block_diag([np.ones((1, len(v))) for v in value], format="csr")
    matrix, upper = one_each, np.ones(len(value))
    if len(rows):
        matrix = vstack([one_each, csr_array(np.concatenate([c[:, rows] for c in cost]).T)], format="csr")
        upper = np.concatenate([upper, limit[rows]])
    lower = np.concatenate([np.ones(len(value)), np.full(len(rows), -np.inf)])
    worth = np.concatenate(value)
    scale = float(np.abs(worth).max()) or 1.0
    with _stdout_to_stderr():
        found = milp(-worth / scale, constraints=LinearConstraint(matrix, lower, upper), integrality=np.ones(len(worth)),
                     bounds=Bounds(0, 1), options={"mip_rel_gap": gap, "node_limit": NODES})
    if found.x is None:
        return None
    parts = np.split(found.x, np.cumsum([len(v) for v in value])[:-1])
    return tuple(int(np.argmax(part)) for part in parts)


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """HiGHS prints a line of its own now and then, whatever it is told; stdout belongs to --json."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def added(widths: Sequence[int], choices: Sequence[np.ndarray], ratios: Ratios) -> tuple[list[np.ndarray], np.ndarray]:
    """(per group (choices, resources): what moving it alone to that width adds; usage at `widths`), over the budgets."""
    widths = tuple(int(w) for w in widths)
    now = ratios(widths)
    moved = [np.stack([ratios((*widths[:g], int(n), *widths[g + 1:])) - now for n in options])
             for g, options in enumerate(choices)]
    return moved, now


def worth(value: Sequence[np.ndarray], choices: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Per group the summed value of its best n channels, for n in `choices`. value: per channel, best first."""
    return [np.concatenate([[0.0], np.cumsum(v)])[options] for v, options in zip(value, choices)]


def allocate(widths: Sequence[int], value: Sequence[np.ndarray], ratios: Ratios, least: Sequence[int],
             most: Sequence[int], knots: int = 8) -> tuple[int, ...] | None:
    """Widths of greatest worth for costs that are added up from `widths`, or None where none fit.

    Each group is priced exactly at `knots` widths; between them its costs are straight lines.
    """
    choices = [np.arange(low, high + 1) for low, high in zip(least, most)]
    points = [np.unique(np.linspace(c[0], c[-1], min(knots, len(c))).round().astype(int)) for c in choices]
    exact, now = added(widths, points, ratios)
    cost = [np.stack([np.interp(c, p, e[:, r]) for r in range(e.shape[1])], axis=1)
            for c, p, e in zip(choices, points, exact)]
    chosen = solve(worth(value, choices), cost, 1 - now, gap=1e-4)
    return None if chosen is None else tuple(int(c[i]) for c, i in zip(choices, chosen))


def nearby(widths: tuple[int, ...], value: Sequence[np.ndarray], ratios: Ratios, least: Sequence[int],
           most: Sequence[int], reach: int) -> tuple[int, ...] | None:
    """The best widths at most `reach` channels away per group, by exact prices of all single moves."""
    choices = [np.arange(max(low, w - reach), min(high, w + reach) + 1) for w, low, high in zip(widths, least, most)]
    cost, now = added(widths, choices, ratios)
    chosen = solve(worth(value, choices), cost, 1 - now, gap=1e-6)
    return None if chosen is None else tuple(int(c[i]) for c, i in zip(choices, chosen))
