# SPDX-License-Identifier: Apache-2.0
"""Runs beside each other: what each was allowed, took and reached."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mcunas.tasks.units import unit_of


def side_by_side(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows {name, unit, values: one per run, None where it has none}: board; of each quantity the budget and what was
    measured, or predicted where nothing was; accuracies; differing bytes; boards that it fits."""
    own = [_of(run) for run in runs]
    names = list(dict.fromkeys(name for rows in own for name in rows))
    units = {name: unit for rows in own for name, (unit, _) in rows.items()}
    return [{"name": name, "unit": units[name], "values": [rows.get(name, ("", None))[1] for rows in own]} for name in names]


def _of(run: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    found: dict[str, tuple[str, Any]] = {"board": ("", (run.get("board") or {}).get("key"))}
    for row in run.get("quantities") or ():
        if row["budget"] is not None:
            found[f"{row['name']}, budget"] = row["unit"], row["budget"]
        found[row["name"]] = row["unit"], row["predicted"] if row["measured"] is None else row["measured"]
    accuracy, match = run.get("accuracy") or {}, run.get("match") or {}
    for key, where in (("float", "float"), ("int8_host", "int8 on the host"), ("int8_board", "int8 on the board")):
        if key in accuracy:
            found[f"{accuracy['metric']}, {where}"] = unit_of(accuracy["metric"]), accuracy[key]
    if match:
        found["differing output bytes"] = "", match["mismatches"]
    if run.get("boards"):
        found[f"boards of {len(run['boards'])} that it fits"] = "", sum(one["fits"] for one in run["boards"])
    return found
