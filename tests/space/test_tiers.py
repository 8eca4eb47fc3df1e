# SPDX-License-Identifier: Apache-2.0
import pytest

from mcunas.space.tiers import Averages, depths, ends, rare, threshold


def test_the_threshold_rises_until_one_option_is_left() -> None:
    assert threshold(0.0, 8) == pytest.approx(0.025) and threshold(1.0, 8) == 0.5
    averages = {"a": 0.4, "b": 0.35, "c": 0.25}
    assert rare(averages, threshold(0.0, 3)) == []
    assert rare(averages, 0.3) == ["c"]
    assert rare(averages, threshold(1.0, 3)) == ["c", "b"]
    assert len(rare({"a": 0.5, "b": 0.5}, threshold(1.0, 2))) == 1
    assert len(rare(dict.fromkeys("abcde", 0.2), 0.2)) == 1                 # of equals one at a time


def test_a_stage_loses_slots_from_its_end_and_never_its_likeliest_depth() -> None:
    assert depths([0.5, 0.5]) == [0.5, 0.25, 0.25] and depths([]) == [1.0]
    assert ends([0.1, 0.7, 0.2], 0.05) == (0, 2)
    assert ends([0.1, 0.7, 0.2], 0.15) == (1, 2)
    assert ends([0.1, 0.7, 0.2], 0.5) == (1, 1)
    assert ends([0.02, 0.08, 0.9], 0.05) == (1, 2)
    assert ends([0.4, 0.3, 0.3], 0.5) == (0, 0)


def test_averages_follow_slowly_and_renormalise_over_what_is_left() -> None:
    averages = Averages()
    averages.observe("s", {"a": 0.5, "b": 0.3, "c": 0.2})
    now = averages.observe("s", {"a": 0.0, "b": 1.0, "c": 0.0})
    assert now == pytest.approx({"a": 0.45, "b": 0.37, "c": 0.18})
    now = averages.observe("s", {"a": 0.5, "b": 0.5})
    assert sum(now.values()) == pytest.approx(1) and now["a"] > now["b"]
    assert Averages(averages.of).of == averages.of
