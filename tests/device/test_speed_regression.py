# SPDX-License-Identifier: Apache-2.0
"""Speed cannot be lost, or won, unnoticed: instructions of a few fixed models stay within 1 % of what is published."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from mcunas import api, device
from tests.bench import regression


@pytest.mark.parametrize("case", regression.CASES, ids=regression.name)
def test_instructions_are_the_published_ones(case: tuple[str, str, str], request: pytest.FixtureRequest) -> None:
    if case[0] != "small":
        request.getfixturevalue("data_dir")
    published = json.loads(regression.BASELINE.read_text())[regression.name(case)]
    found = regression.instructions(*case)
    change = found / published - 1
    assert change <= regression.BAND, f"{found} instructions, {change:.1%} more than {published}"
    assert change >= -regression.BAND, (f"{found} instructions, {-change:.1%} fewer than {published}: "
                                        f"publish them with {regression.COMMAND} and tests.bench.speed")


@pytest.mark.parametrize("key", ["mps2-an386", "mps2-an385-m0plus"])
def test_the_small_network_computes_what_the_oracle_does(key: str, tmp_path: Path) -> None:
    report = device.validate(api.build(regression.small_net(), key, tmp_path), n_random=3)
    assert report.passed and report.inputs == 3
