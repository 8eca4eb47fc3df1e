# SPDX-License-Identifier: Apache-2.0
"""A method's own settings: what was asked, checked against its SETTINGS, whose defaults say what each of them is.

A whole number is at least 1, any other number at least 0, a list has as many positive numbers as the default. None as the
default: anything goes.
"""
from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from mcunas.errors import InputError, did_you_mean
from mcunas.search.methods import module_of


def settings_of(method: str, asked: dict[str, Any]) -> dict[str, Any]:
    """All settings of the method with what was asked. Raises InputError for one that it does not have or cannot use."""
    known = getattr(module_of(method), "SETTINGS", {})
    for name in sorted(asked):
        if name not in known:
            raise InputError(f"method {method!r} has no setting {name!r}",
                             fix=did_you_mean(name, known, "it has") if known else "leave settings out")
        wrong = _wrong(asked[name], known[name])
        if wrong:
            raise InputError(f"the setting {name} of method {method!r} cannot be {asked[name]!r}: it must be {wrong}",
                             fix=f"the default is {known[name]!r}")
    return json.loads(json.dumps({**known, **asked}))


def demand_words(method: str, settings: Mapping[str, Any], **known: Iterable[str]) -> None:
    """known: setting -> words that it may be. Raises InputError for another one."""
    for name, words in known.items():
        if settings[name] not in words:
            raise InputError(f"{method} has no {name} {settings[name]!r}", fix=f"use one of {', '.join(map(repr, words))}")


def demand_parents(method: str, settings: Mapping[str, Any]) -> None:
    """Raise InputError for a population in which no two can have a child."""
    if settings["population"] < 2:
        raise InputError(f"{method} cannot evolve a population of {settings['population']}", fix="give at least 2")


def _wrong(value: Any, default: Any) -> str:
    """What the value should have been; "" for one that can be used."""
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "true or false"
    if isinstance(default, int):
        return "" if _is_number(value) and isinstance(value, int) and value >= 1 else "a whole number from 1 on"
    if isinstance(default, float):
        return "" if _is_number(value) and value >= 0 else "a number from 0 on"
    if isinstance(default, list):
        fits = isinstance(value, list) and len(value) == len(default) and all(_is_number(v) and v > 0 for v in value)
        return "" if fits else f"a list of {len(default)} positive numbers"
    if isinstance(default, str):
        return "" if isinstance(value, str) else "text"
    if isinstance(default, dict):
        return "" if isinstance(value, dict) else "names with values"
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
