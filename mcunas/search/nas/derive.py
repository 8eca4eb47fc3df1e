# SPDX-License-Identifier: Apache-2.0
"""From probabilities to a network that fits: the most probable genotype whose exact price keeps, and uses, the budget.

The argmax of each slot comes first. Where it exceeds a budget it is repaired: genotypes are tried in the order of their
probability, a neighbour in one slot before one in two, until the exact price of one fits. Where it leaves much of the
budget unused, which it was given to use, it is filled: the search goes on to the first that uses a share of what is
scarcest (as random search is asked to, and as pruning fills). The table rules out most without asking the compiler. What
was needed is in NasRun.facts, so that neither is silent.
"""
from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence

from mcunas.errors import DoesNotFit
from mcunas.search.nas.run import NasRun
from mcunas.space import Genotype
from mcunas.space.price import SLACK, usage

LOOKED_AT = 50_000      # genotypes by the table, until one fits
FILLED_AT = 2_000       # and until one uses the budget
PRICED = 60             # exactly
LEAST = 1e-6            # probability of an option that has none left: it may still repair
LEAST_USE = 0.85        # of the scarcer of cycles and flash


def derive(run: NasRun, probs: Mapping[str, Mapping[str, float]], least_use: float = LEAST_USE) -> Genotype:
    """probs: slot -> option -> probability, of feasible options. least_use: 0 = what fits is enough; where no network of the
    space uses so much, it is, too. Raises DoesNotFit when nothing within reach fits."""
    return run.space.genotype(likely(run, probs, 1, least_use)[0])


def likely(run: NasRun, probs: Mapping[str, Mapping[str, float]], count: int,
           least_use: float = LEAST_USE) -> list[dict[str, str]]:
    """Choices of the `count` most probable networks, all different, that fit and use the budget; fewer where there are
    fewer within reach; where there are none the most probable that fits. As for `derive`."""
    priced, looked_at, fitting, keys = 0, 0, None, set()
    found: list[dict[str, str]] = []
    least_use = least_use if share(run, heaviest_of(run, run.feasible)) >= least_use else 0.0
    argmax = next(by_probability(probs))
    for choices in by_probability(probs):
        genotype = run.space.genotype(choices)
        used = share(run, genotype)
        if looked_at > (FILLED_AT if fitting else LOOKED_AT) or priced >= PRICED * count:
            break
        looked_at += 1
        if genotype.key in keys or looked_at > 1 and not (least_use if fitting else 0.0) <= used <= SLACK:
            continue
        priced += 1
        keys.add(genotype.key)
        if run.prices.fits(genotype, run.budget):
            fitting = fitting or choices
            if used >= least_use:
                found.append(choices)
                if len(found) == count:
                    break
    found = found or [fitting or lightest_of(run).choices]
    first, likeliest = run.space.genotype(found[0]), run.space.genotype(argmax)
    if not run.prices.fits(first, run.budget):
        raise DoesNotFit("no network near the found one fits the budget", where=run.board.key,
                         fix="raise the budget, or search with another seed")
    run.facts |= {"argmax": likeliest.choices, "argmax_use": usage(run.prices.exact(likeliest), run.budget),
                  "changed_slots": sum(first.choices[s] != of for s, of in likeliest.choices.items()),
                  "looked_at": looked_at}
    return found


def share(run: NasRun, genotype: Genotype) -> float:
    """Of the scarcer of cycles and flash, by the table."""
    cycles, flash_bytes = run.prices.added(genotype)
    latency = cycles / run.board.clock_hz * 1e6 / run.budget.latency_us if run.budget.latency_us else 0.0
    return max(latency, flash_bytes / run.budget.flash_bytes)


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


def heaviest_of(run: NasRun, options: Mapping[str, Sequence[str]]) -> Genotype:
    """Of each slot's options the one of most cycles, by the table."""
    rows = {s.name: run.prices.row(s) for s in run.space.slots}
    return run.space.genotype({name: max(options[name], key=lambda o, row=row: row[o]["cycles"])
                               for name, row in rows.items()})
