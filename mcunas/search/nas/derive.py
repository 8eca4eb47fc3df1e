# SPDX-License-Identifier: Apache-2.0
"""From probabilities to a network that fits: the most probable genotype whose exact price keeps every budget.

The argmax of each slot comes first. Where it exceeds a budget it is repaired: genotypes are tried in the order of their
probability, a cheaper neighbour in one slot before one in two, until the exact price of one fits. The table rules out most
without asking the compiler. What was needed is in NasRun.facts, so that a repair is never silent.
"""
from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping

from mcunas.errors import DoesNotFit
from mcunas.search.nas.run import NasRun
from mcunas.space import Genotype
from mcunas.space.price import SLACK, usage

LOOKED_AT = 50_000      # genotypes by the table
PRICED = 60             # exactly
LEAST = 1e-6            # probability of an option that has none left: it may still repair


def derive(run: NasRun, probs: Mapping[str, Mapping[str, float]]) -> Genotype:
    """probs: slot -> option -> probability, of feasible options. Raises DoesNotFit when nothing within reach fits."""
    priced, first = 0, None
    for looked_at, choices in enumerate(by_probability(probs)):
        genotype = run.space.genotype(choices)
        first = first or genotype
        if looked_at and not _may_fit(run, genotype):
            if looked_at > LOOKED_AT:
                break
            continue
        priced += 1
        if run.prices.fits(genotype, run.budget):
            changed = sum(genotype.choices[s] != first.choices[s] for s in first.choices)
            run.facts |= {"argmax": first.choices, "argmax_use": usage(run.prices.exact(first), run.budget),
                          "repaired_slots": changed, "looked_at": looked_at + 1}
            return genotype
        if priced >= PRICED:
            break
    lightest = lightest_of(run)
    if run.prices.fits(lightest, run.budget):
        run.facts |= {"argmax": first.choices, "repaired_slots": len(lightest.choices), "looked_at": LOOKED_AT}
        return lightest
    raise DoesNotFit("no network near the found one fits the budget", where=run.board.key,
                     fix="raise the budget, or search with another seed")


def by_probability(probs: Mapping[str, Mapping[str, float]]) -> Iterator[dict[str, str]]:
    """All ways to take one option per slot, the most probable first; equals in the order of the options."""
    slots = list(probs)
    ranked = []
    for slot in slots:
        order = sorted(probs[slot], key=lambda o, own=probs[slot]: -own[o])
        ranked.append([(o, -math.log(max(probs[slot][o], LEAST))) for o in order])
    start = (0,) * len(slots)
    queue, seen = [(0.0, start)], {start}
    while queue:
        loss, ranks = heapq.heappop(queue)
        yield {slot: own[r][0] for slot, own, r in zip(slots, ranked, ranks)}
        for k, own in enumerate(ranked):
            if ranks[k] + 1 < len(own):
                further = (*ranks[:k], ranks[k] + 1, *ranks[k + 1:])
                if further not in seen:
                    seen.add(further)
                    heapq.heappush(queue, (loss + own[ranks[k] + 1][1] - own[ranks[k]][1], further))


def lightest_of(run: NasRun) -> Genotype:
    """Of each slot the feasible option of fewest cycles, by the table."""
    rows = {s.name: run.prices.row(s) for s in run.space.slots}
    return run.space.genotype({name: min(run.feasible[name], key=lambda o, row=row: row[o]["cycles"])
                               for name, row in rows.items()})


def _may_fit(run: NasRun, genotype: Genotype) -> bool:
    cycles, flash_bytes = run.prices.added(genotype)
    latency_us = cycles / run.board.clock_hz * 1e6
    return (flash_bytes <= SLACK * run.budget.flash_bytes
            and (run.budget.latency_us is None or latency_us <= SLACK * run.budget.latency_us))
