# SPDX-License-Identifier: Apache-2.0
"""Placement: no two buffers that live together touch, beyond what their distances allow, and little is wasted."""
from __future__ import annotations

from itertools import combinations, permutations
from random import Random

import pytest

from mcunas.compiler.lifetime import aligned
from mcunas.compiler.place import FirstFit, largest_first, place
from mcunas.compiler.schedule import Buffer


def buffer(size_bytes: int, first: int, last: int, scratch: bool = False) -> Buffer:
    return Buffer("b", () if scratch else (0,), size_bytes, first, last)


def drawn(seed: int, count: int) -> list[Buffer]:
    random = Random(seed)
    found = []
    for _ in range(count):
        first = random.randrange(6)
        found.append(buffer(random.randint(1, 60), first, first + random.randrange(4), random.random() < 0.2))
    return found


def bound(found: list[Buffer]) -> int:
    """Of the live bytes at any step."""
    return max(sum(aligned(b.size_bytes) for b in found if b.first <= step <= b.last) for step in range(12))


def live_together(a: Buffer, b: Buffer) -> bool:
    return a.first <= b.last and b.first <= a.last


@pytest.mark.parametrize("seed", range(40))
def test_what_lives_together_lies_apart(seed: int) -> None:
    found = drawn(seed, 8)
    for arena, offsets in (place(found, bound(found)), largest_first(found)):
        assert arena == max(at + b.size_bytes for b, at in zip(found, offsets)) and all(at % 4 == 0 for at in offsets)
        for (a, at_a), (b, at_b) in combinations(list(zip(found, offsets)), 2):
            assert not live_together(a, b) or at_a + a.size_bytes <= at_b or at_b + b.size_bytes <= at_a


@pytest.mark.parametrize("seed", range(12))
def test_no_order_of_first_fit_needs_less(seed: int) -> None:
    found = drawn(seed, 5)
    fit = FirstFit(found, {})
    least = min(fit(list(order))[0] for order in permutations(range(5)))
    assert aligned(place(found, bound(found))[0]) == aligned(least)


def test_the_bound_ends_the_search_and_is_met_where_it_can_be() -> None:
    found = [buffer(40, 0, 1), buffer(8, 1, 2), buffer(40, 2, 3), buffer(8, 3, 4)]
    assert place(found, 48) == place(found, 48) and place(found, 48)[0] == 48


@pytest.mark.parametrize(("seed", "greedy_bytes", "found_bytes"), [(16, 185, 184), (17, 121, 109), (39, 209, 208)])
def test_where_no_rule_meets_the_bound_moves_of_the_best_order_do(seed: int, greedy_bytes: int, found_bytes: int) -> None:
    """With a bound that anything meets, the first order that is best is taken."""
    found = [buffer(b.size_bytes, b.first, b.last) for b in drawn(seed, 10)]
    assert place(found, 1 << 30)[0] == greedy_bytes and place(found, bound(found))[0] == found_bytes <= bound(found)


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """In which buffers are placed, as long as the test runs."""
    tried: list[list[int]] = []
    call = FirstFit.__call__
    monkeypatch.setattr(FirstFit, "__call__", lambda self, order: tried.append(order) or call(self, order))
    return tried


def test_the_more_buffers_clash_the_fewer_orders_are_tried(orders: list[list[int]], monkeypatch: pytest.MonkeyPatch) -> None:
    """With 10 clashing pairs (each counted from both ends) and a bound that nothing meets."""
    for pairs, moves in ((21 * 7, 7), (21 * 7 - 1, 6), (20, 0)):
        monkeypatch.setattr("mcunas.compiler.place._PAIRS", pairs)
        orders.clear()
        place([buffer(8, 0, 1) for _ in range(5)], 0)
        assert len(orders) == 6 + moves


def test_an_end_of_scratch_is_moved_from_for_a_while_only(orders: list[list[int]]) -> None:
    place([buffer(8, 0, 1, scratch=True)], 8)
    assert len(orders) == 6 + 200


def test_the_one_rule_is_the_largest_first() -> None:
    found = [buffer(8, 0, 1), buffer(40, 0, 1), buffer(16, 0, 1)]
    assert largest_first(found) == (64, (56, 0, 40))


def test_a_distance_lets_the_upper_lie_over_the_lower() -> None:
    found = [buffer(40, 0, 1), buffer(40, 1, 2)]
    assert place(found, 80)[0] == 80
    assert place(found, 40, {(1, 0): 0}) == (40, [0, 0])
    arena, (low, high) = place(found, 48, {(1, 0): 8})
    assert arena == 48 and high - low == 8
    arena, (high, low) = place(found, 48, {(0, 1): 8})
    assert arena == 48 and high - low == 8
    assert place(found, 80, {(1, 0): 400})[0] == 80         # never more than the lower one's size
    near = FirstFit(found, {(1, 0): 8})
    assert near.lowest(0, [-1, 24]) == 0 and near.lowest(1, [24, -1]) == 32 and near.lowest(0, [-1, 4]) == 44


def test_scratch_does_not_lie_last_where_something_else_can() -> None:
    found = [buffer(40, 0, 1), buffer(20, 1, 1, scratch=True), buffer(20, 0, 1)]
    arena, offsets = place(found, 80)
    assert arena == 80 and offsets[1] + 20 < arena


def test_nothing_needs_nothing_and_one_lies_at_the_beginning() -> None:
    assert place([], 0) == (0, []) and place([buffer(13, 0, 0)], 16) == (13, [0])


def test_the_lowest_gap_that_is_wide_enough_is_taken() -> None:
    found = [buffer(16, 0, 9), buffer(16, 0, 9), buffer(16, 0, 9), buffer(12, 0, 9), buffer(24, 0, 9)]
    fit = FirstFit(found, {})
    assert fit.lowest(3, [0, 32, 64, -1, -1]) == 16         # between the first two
    assert fit.lowest(4, [0, 32, 64, -1, -1]) == 80         # too wide for either gap
    assert fit.lowest(3, [16, 32, 64, -1, -1]) == 0
    assert fit.lowest(3, [-1, -1, -1, -1, -1]) == 0
    assert fit.lowest(3, [0, 28, 64, -1, -1]) == 16         # exactly as wide
    assert fit.lowest(3, [0, 24, 64, -1, -1]) == 40
