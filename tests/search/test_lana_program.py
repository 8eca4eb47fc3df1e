# SPDX-License-Identifier: Apache-2.0
"""The integer program of LANA: what brute force finds on small instances, and a large one within its time."""
from __future__ import annotations

import time
from dataclasses import replace
from itertools import product

import numpy as np

from mcunas.search.lana.program import Program, Row, solve
from tests.search.lana_programs import like_cells


def instance(random: np.random.Generator, slots: int, options: int) -> Program:
    """Two rows that bind, one of them with charges; a few options are deleted."""
    rows = []
    for charges in (0, 3):
        costs = tuple(random.integers(1, 100, options).astype(float) for _ in range(slots))
        once = tuple((float(random.integers(20, 80)), tuple(random.random(options) < 0.3 for _ in range(slots)))
                     for _ in range(charges))
        row = Row(costs, 0.0, once)
        drawn = [row.value(tuple(random.integers(0, options, slots))) for _ in range(200)]
        rows.append(replace(row, limit=float(np.quantile(drawn, 0.15))))
    scores = tuple(np.where(random.random(options) < 0.15, np.inf, random.random(options)) for _ in range(slots))
    return Program(scores, tuple(rows))


def test_it_finds_what_brute_force_finds_under_rows_charges_cuts_and_overlaps():
    random, solved = np.random.default_rng(0), 0
    for _ in range(12):
        program = instance(random, slots=4, options=4)
        for cut in range(3):
            allowed = [c for c in product(range(4), repeat=4) if program.allows(c)]
            found = solve(program)
            if not allowed:
                assert found is None
                break
            assert program.allows(found) and np.isclose(program.value(found), min(map(program.value, allowed)))
            solved += 1
            pair = frozenset(list(enumerate(found))[1:3])
            program = program.without(pair) if cut % 2 else program.unlike(found, 2)
    assert solved > 10


def test_twenty_slots_of_forty_options_take_less_than_five_seconds_each_for_solutions_that_differ():
    program, found = like_cells(seed=0), []
    for _ in range(3):
        started = time.process_time()
        chosen = solve(program)
        assert time.process_time() - started < 5.0
        assert program.allows(chosen) and all(sum(a == b for a, b in zip(chosen, other)) <= 14 for other in found)
        for slot, option in product(range(20), range(40)):      # nothing better by one exchange
            other = (*chosen[:slot], option, *chosen[slot + 1:])
            assert not program.allows(other) or program.value(other) >= program.value(chosen) - 1e-9
        found.append(chosen)
        program = program.unlike(chosen, 14)
    values = [program.value(c) for c in found]
    assert values == sorted(values)
