# SPDX-License-Identifier: Apache-2.0
"""TOML files read strictly into dataclasses, whose fields are the schema: a key that is not a field is an error with a
suggestion, and a missing one is named."""
from __future__ import annotations

import math
import tomllib
import types
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from mcunas.errors import InputError, did_you_mean


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a file. Raises InputError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", str(path), "name a board or a .toml file") from None
    except (ValueError, RecursionError) as error:       # TOMLDecodeError, UnicodeDecodeError, a number of 5000 digits
        raise InputError(f"is not TOML: {error}", str(path)) from None


def record(cls: type, table: dict[str, Any], where: str) -> Any:
    """A dataclass from a TOML table, with every key and type checked. Raises InputError."""
    hints = get_type_hints(cls)
    for key in table:
        if key not in hints:
            raise InputError(f"unknown key {key!r}", where, did_you_mean(key, tuple(hints), "known keys:"))
    values = {}
    for f in fields(cls):
        if f.name in table:
            values[f.name] = _value(hints[f.name], table[f.name], f"{where}: {f.name}")
        elif f.default is MISSING:
            raise InputError(f"key {f.name!r} is missing", where)
    return cls(**values)


def _value(hint: Any, value: Any, where: str) -> Any:
    if isinstance(hint, types.UnionType):
        hint = get_args(hint)[0]
    if hasattr(hint, "__dataclass_fields__"):
        if not isinstance(value, dict):
            raise InputError("must be a table", where)
        return record(hint, value, where)
    if get_args(hint):
        if not isinstance(value, list):
            raise InputError("must be a list", where)
        return tuple(_value(get_args(hint)[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if hint is float and type(value) is int:
        value = float(value) if abs(value) < 1 << 64 else math.inf
    if type(value) is not hint:
        raise InputError(f"must be of type {hint.__name__}, not {type(value).__name__}", where)
    if hint is float and not math.isfinite(value):
        raise InputError("must be a finite number", where)
    return value
