# SPDX-License-Identifier: Apache-2.0
"""Which option for each slot: an integer linear program (LANA, arXiv 2107.10624, section 3.2), solved by HiGHS.

    min sum_l a_l.z_l   so that   sum_l b_l.z_l + charges <= limit  per row,   1.z_l = 1,   z binary

A charge is paid once however many options cause it: the code of a kernel, or of a library routine. Peak RAM is a maximum
over steps, and between slots a single tensor passes: its rows hold one option each, so that those options are deleted
instead. What only a whole network shows is cut away by the options that caused it together (`forbidden`).
"""
from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_matrix

Chosen = tuple[int, ...]        # option index of each slot
TIME_LIMIT_S = 60.0


@dataclass(frozen=True, eq=False)
class Row:
    """sum over slots of costs[l][chosen option] + charges <= limit. charges: (amount, per slot which options cause it)."""

    costs: tuple[np.ndarray, ...]
    limit: float
    charges: tuple[tuple[float, tuple[np.ndarray, ...]], ...] = ()

    def value(self, chosen: Chosen) -> float:
        once = sum(amount for amount, causes in self.charges if any(c[k] for c, k in zip(causes, chosen)))
        return float(sum(c[k] for c, k in zip(self.costs, chosen)) + once)


@dataclass(frozen=True, eq=False)
class Program:
    """scores: per slot what each option adds to the loss; infinite for an option that is deleted.

    forbidden: sets of (slot, option) that may not all be chosen. overlaps: (solution, most slots that may equal it).
    """

    scores: tuple[np.ndarray, ...]
    rows: tuple[Row, ...]
    forbidden: tuple[frozenset[tuple[int, int]], ...] = ()
    overlaps: tuple[tuple[Chosen, int], ...] = field(default=())

    def value(self, chosen: Chosen) -> float:
        return float(sum(s[k] for s, k in zip(self.scores, chosen)))

    def allows(self, chosen: Chosen) -> bool:
        """Whether a choice meets all that the program asks."""
        pairs = set(enumerate(chosen))
        return (np.isfinite(self.value(chosen)) and all(r.value(chosen) <= r.limit for r in self.rows)
                and not any(f <= pairs for f in self.forbidden)
                and all(sum(a == b for a, b in zip(chosen, other)) <= most for other, most in self.overlaps))

    def without(self, together: frozenset[tuple[int, int]]) -> Program:
        return replace(self, forbidden=(*self.forbidden, together))

    def unlike(self, chosen: Chosen, most: int) -> Program:
        return replace(self, overlaps=(*self.overlaps, (chosen, most)))


def solve(program: Program, time_limit_s: float = TIME_LIMIT_S) -> Chosen | None:
    """The best choice, or None where there is none. When time is up it is the best that was found."""
    starts = np.cumsum([0, *(len(s) for s in program.scores)])
    slots, options = len(program.scores), int(starts[-1])
    charges = [(charge, r) for r, row in enumerate(program.rows) for charge in row.charges]
    count = options + len(charges)
    scores = np.concatenate(program.scores)
    objective = np.concatenate([np.where(np.isfinite(scores), scores, 0.0), np.zeros(len(charges))])
    lines: list[tuple[np.ndarray, np.ndarray, float, float]] = []       # columns, values, low, high
    for first, last in zip(starts[:-1], starts[1:]):
        lines.append((np.arange(first, last), np.ones(last - first), 1.0, 1.0))
    for r, row in enumerate(program.rows):
        scale = max(abs(row.limit), 1.0)        # bytes and cycles of very different sizes: all rows near 1
        own = [(options + c, charge[0]) for c, (charge, at) in enumerate(charges) if at == r]
        columns = np.concatenate([np.arange(options), np.array([c for c, _ in own], int)])
        values = np.concatenate([*row.costs, np.array([amount for _, amount in own])]) / scale
        lines.append((columns, values, -np.inf, row.limit / scale))
    for c, ((_, causes), _) in enumerate(charges):          # paid as soon as one option of a slot causes it
        for first, caused in zip(starts, causes):
            causing = first + np.flatnonzero(caused)
            if len(causing):
                lines.append((np.append(causing, options + c), np.append(np.ones(len(causing)), -1.0), -np.inf, 0.0))
    for together in program.forbidden:
        columns = np.array([starts[slot] + k for slot, k in sorted(together)])
        lines.append((columns, np.ones(len(columns)), -np.inf, len(columns) - 1.0))
    for other, most in program.overlaps:
        lines.append((starts[:-1] + np.array(other), np.ones(slots), -np.inf, float(most)))
    matrix = csr_matrix((np.concatenate([v for _, v, _, _ in lines]),
                         (np.repeat(np.arange(len(lines)), [len(c) for c, *_ in lines]),
                          np.concatenate([c for c, *_ in lines]))), shape=(len(lines), count))
    high = np.concatenate([np.isfinite(scores).astype(float), np.ones(len(charges))])
    integral = np.concatenate([np.ones(options), np.zeros(len(charges))])       # a charge is 0 or 1 by itself
    found = milp(objective, integrality=integral, bounds=Bounds(0.0, high),
                 constraints=LinearConstraint(matrix, [low for *_, low, _ in lines], [top for *_, top in lines]),
                 options={"time_limit": time_limit_s, "mip_rel_gap": 0.0})
    if found.x is None:
        return None
    return tuple(int(np.argmax(found.x[a:b])) for a, b in zip(starts[:-1], starts[1:]))
