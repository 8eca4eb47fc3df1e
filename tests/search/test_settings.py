# SPDX-License-Identifier: Apache-2.0
"""Settings of methods: what can be asked, and what is refused in words before anything runs."""
from __future__ import annotations

import pytest

from mcunas.errors import InputError
from mcunas.search import METHODS
from mcunas.search.settings import settings_of


@pytest.mark.parametrize("method", METHODS)
def test_every_methods_defaults_can_be_asked_for(method: str) -> None:
    known = settings_of(method, {})
    assert settings_of(method, known) == known


@pytest.mark.parametrize("asked, said", [
    ({"rate": "abc"}, "rate of method 'fbnet' cannot be 'abc': it must be a number"),
    ({"rate": True}, "a number"), ({"rate": -1}, "a number"), ({"rate": float("nan")}, "a number"),
    ({"tau": 1}, "a list of 2 positive numbers; the default is"), ({"tau": [1.0, 0]}, "a list of 2"),
    ({"loss": 3}, "text"), ({"rates": 1}, "has no setting 'rates'; did you mean 'rate'")])
def test_what_cannot_be_used_is_refused(asked: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        settings_of("fbnet", asked)


def test_counts_are_whole_and_switches_are_switches() -> None:
    assert settings_of("padnas", {"stages": 2, "drop": 0})["stages"] == 2
    for method, asked in (("padnas", {"stages": 0}), ("padnas", {"stages": 1.5}), ("prunet", {"widths": "no"}),
                          ("scratch", {"widths": 4})):
        with pytest.raises(InputError, match="it must be"):
            settings_of(method, asked)
