# SPDX-License-Identifier: Apache-2.0
"""prunet and padnas on a space of a few options: what they leave, and that an interrupted search ends the same."""
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

import mcunas.search
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.search import padnas
from mcunas.search.padnas import fair_paths
from mcunas.search.result import Result
from mcunas.space.evolution import Scored
from mcunas.space.space import INLINE
from mcunas.tasks import Schedule
from mcunas.tasks.training import generator

SPACE = {"options": ["conv1x1", "conv3x3", "ds3", "mb3_e4", "skip"],
         "stem": {"kernel": [3, 3], "channels": 8, "stride": [2, 2]}, "stages": [{"channels": 8, "stride": 1, "slots": 3}]}
SCHEDULE = Schedule(prune_epochs=6, finetune_epochs=1, warmup_epochs=1, batch=32, epoch_samples=160)
PADNAS = {"stages": 2, "population": 8, "generations": 2, "scored_images": 32, "quality": 2, "least": 1}


class Interrupted(Exception):
    pass


def _search(method: str, out: Path, settings: dict | None = None, progress: Callable | None = None,
            ram: int | None = None) -> Result:
    return mcunas.search.search("digits", Board.load("mps2-an386"), Budget(ram, latency="8 ms"), method, out, start=INLINE,
                                options=SPACE, schedule=SCHEDULE, settings=settings, progress=progress)


@pytest.mark.parametrize("method, settings", [("prunet", {}), ("padnas", PADNAS)])
def test_an_interrupted_search_ends_the_same(method: str, settings: dict, tmp_path: Path) -> None:
    whole = _search(method, tmp_path / "whole", settings)
    epochs = iter(range(100))

    def stop(*unused: object) -> None:
        if next(epochs) == 3:
            raise Interrupted

    with pytest.raises(Interrupted):
        _search(method, tmp_path / "cut", settings, stop)
    again = _search(method, tmp_path / "cut", settings)
    asked = {"exact_prices": None}          # how often the compiler was asked: again after a resume
    assert again.genotype == whole.genotype and again.metrics["facts"] | asked == whole.metrics["facts"] | asked
    assert again.metrics["float_accuracy"] == whole.metrics["float_accuracy"]
    assert max(again.metrics["budget_use"].values()) <= 1


def test_padnas_that_saw_nothing_that_fits_still_gives_what_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def evolve(alive: dict, *unused: object) -> list[Scored]:
        return [Scored({slot: "conv3x3" for slot in alive}, (1.0, 1e9), 0.5)]

    monkeypatch.setattr(padnas, "evolve", evolve)
    found = _search("padnas", tmp_path, PADNAS).metrics
    assert found["facts"]["front"] == [] and max(found["budget_use"].values()) <= 1


def test_paths_are_fair() -> None:
    alive = {"s0_0": ["a", "b", "c"], "s0_1": ["a", "b"]}
    paths = list(islice(fair_paths(alive, generator(0, 0)), 12))
    for start in range(0, 12, 3):
        assert sorted(path["s0_0"] for path in paths[start:start + 3]) == ["a", "b", "c"]
    assert sum(path["s0_1"] == "a" for path in paths) == 6
    assert len({(path["s0_0"], path["s0_1"]) for path in paths}) > 3


def test_prunet_ends_with_one_network_and_runs_fewer_options(tmp_path: Path) -> None:
    shrunk = _search("prunet", tmp_path / "shrunk").metrics
    full = _search("prunet", tmp_path / "full", {"options": False, "layers": False}).metrics
    assert all(len(left) == 1 for left in shrunk["facts"]["options_left"].values())
    assert shrunk["facts"]["entropy"] == 0 and max(shrunk["budget_use"].values()) <= 1
    assert sum(map(len, full["facts"]["options_left"].values())) == 15
    assert shrunk["ledger"]["option_forwards"] < full["ledger"]["option_forwards"]
    assert shrunk["ledger"]["samples"] == full["ledger"]["samples"]


def test_an_option_that_fits_only_when_narrowed_takes_part_where_widths_are_searched(tmp_path: Path) -> None:
    found = [_search("prunet", tmp_path / str(widths), {"widths": widths}, ram=1300).metrics for widths in (True, False)]
    assert ["mb3_e4" in m["feasible"]["s0_0"] for m in found] == [True, False]
    assert all(max(m["budget_use"].values()) <= 1 for m in found)
