# SPDX-License-Identifier: Apache-2.0
"""Genotype: one canonical form for equal networks, and files of every age."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcunas.errors import InputError
from mcunas.space import Genotype

OPTIONS = st.sampled_from(["conv3x3", "ds3", "skip"])


def genotype(choices: dict[str, str], widths: dict[str, int] | None = None) -> Genotype:
    return Genotype("images", {}, (28, 28, 1), 10, widths or {}, choices)


@given(st.lists(st.lists(OPTIONS, min_size=1, max_size=12), min_size=1, max_size=3), st.randoms())
def test_where_a_stage_is_skipped_makes_no_difference(stages: list[list[str]], random) -> None:
    choices = {f"s{s}_{i}": option for s, stage in enumerate(stages) for i, option in enumerate(stage)}
    found = genotype(choices)
    shuffled = {}
    for s, stage in enumerate(stages):                  # skips anywhere, what is left in the same order
        places = sorted(random.sample(range(len(stage)), sum(o != "skip" for o in stage)))
        kept = dict(zip(places, (o for o in stage if o != "skip")))
        shuffled |= {f"s{s}_{i}": kept.get(i, "skip") for i in range(len(stage))}
    other = genotype(dict(random.sample(list(shuffled.items()), len(shuffled))))
    assert other == found and other.key == found.key and hash(other) == hash(found)
    for s, stage in enumerate(stages):
        order = [found.choices[f"s{s}_{i}"] for i in range(len(stage))]
        assert order == [o for o in stage if o != "skip"] + ["skip"] * stage.count("skip")


def test_a_width_inside_a_block_moves_with_its_slot() -> None:
    found = genotype({"s0_0": "skip", "s0_1": "mb3_e2"}, {"s0_1": 24, "s0": 16})
    assert found.choices == {"s0_0": "mb3_e2", "s0_1": "skip"} and found.widths == {"s0_0": 24, "s0": 16}


def test_other_choices_and_other_orders_are_other_networks() -> None:
    keys = {genotype({"s0_0": a, "s0_1": b}).key for a in ("conv3x3", "ds3", "skip") for b in ("conv3x3", "ds3", "skip")}
    assert len(keys) == 7       # of nine, two pairs are equal


def test_a_genotype_survives_its_file(tmp_path: Path) -> None:
    found = Genotype("images", {"stem": {"channels": 8}}, (28, 28, 1), 10, {"s0": 12}, {"s0_0": "ds3"}, {"s0_0": 5})
    found.save(tmp_path / "genotype.json")
    assert Genotype.load(tmp_path / "genotype.json") == found


def test_files_from_before_there_were_spaces_still_load(tmp_path: Path) -> None:
    path = tmp_path / "genotype.json"
    path.write_text(json.dumps({"start": "residual", "options": {"widths": [6, 8, 12]}, "input_shape": [16, 16, 1],
                                "classes": 10, "widths": {"stem": 5}}))
    found = Genotype.load(path)
    assert found == Genotype("residual", {"widths": [6, 8, 12]}, (16, 16, 1), 10, {"stem": 5}) and not found.is_of_space
    found.save(path)
    assert set(json.loads(path.read_text())) == {"start", "options", "input_shape", "classes", "widths"}


@pytest.mark.parametrize("content", ["[]", "{}", "no", '{"start": "images", "choices": 3}'])
def test_what_is_no_genotype_is_refused_in_one_line(content: str, tmp_path: Path) -> None:
    path = tmp_path / "genotype.json"
    path.write_text(content)
    with pytest.raises(InputError, match="not a genotype"):
        Genotype.load(path)
