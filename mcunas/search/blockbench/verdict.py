# SPDX-License-Identifier: Apache-2.0
"""What the networks say about the blocks: a ranking with intervals per board and axis, and the blocks to search with."""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mcunas.errors import InputError
from mcunas.search.blockbench.fronts import cost_ratios, hypervolumes

AXES = {"ram": "ram_bytes", "flash": "flash_bytes", "cycles": "cycles"}     # axis -> figure of a Cost
FILE = "verdict.json"


def verdict(rows: Sequence[Mapping[str, Any]], seed: int = 0) -> dict[str, Any]:
    """rows: one per network, {"block", "accuracy", "costs": board -> {figure: value}}.

    {"boards": board -> {"axes": axis -> {"order", "hypervolume": block -> [value, low, high], "first": block -> share of
    draws, "cost_ratio"}, "blocks"}, "networks": block -> how many}. Axes whose costs do not overlap have an empty order.
    """
    blocks = list(dict.fromkeys(r["block"] for r in rows))
    accuracies = {b: np.array([r["accuracy"] for r in rows if r["block"] == b]) for b in blocks}
    boards = {}
    for board in rows[0]["costs"]:
        costs = {axis: {b: np.array([float(r["costs"][board][figure]) for r in rows if r["block"] == b]) for b in blocks}
                 for axis, figure in AXES.items()}
        axes = {axis: _axis(of, accuracies, seed) for axis, of in costs.items()}
        boards[board] = {"axes": axes, "blocks": worthwhile(axes, blocks)}
    return {"boards": boards, "networks": {b: len(a) for b, a in accuracies.items()}}


def _axis(costs: Mapping[str, np.ndarray], accuracies: Mapping[str, np.ndarray], seed: int) -> dict[str, Any]:
    found = hypervolumes(costs, accuracies, seed)
    if found is None:
        return {"order": [], "hypervolume": {}, "first": {}, "cost_ratio": {}, "accuracy": None}
    volumes, first = found
    wanted = min(float(a.max()) for a in accuracies.values())       # that all blocks reach
    ratios = cost_ratios(costs, accuracies, wanted, seed)
    return {"order": sorted(volumes, key=lambda b: -volumes[b].value),
            "hypervolume": {b: v.to_json() for b, v in volumes.items()}, "first": first,
            "cost_ratio": {b: r.to_json() for b, r in ratios.items()}, "accuracy": wanted}


def worthwhile(axes: Mapping[str, Mapping[str, Any]], blocks: Sequence[str]) -> list[str]:
    """Blocks that on some axis may be the best, as far as the intervals tell: theirs reaches the best one's."""
    kept = []
    for block in blocks:
        for axis in axes.values():
            if axis["order"] and axis["hypervolume"][block][2] >= axis["hypervolume"][axis["order"][0]][1]:
                kept.append(block)
                break
    return kept


def blocks_for(path: Path, board: str) -> list[str]:
    """What a verdict's file says for a board. Raises InputError when it says nothing."""
    fix = "give the verdict.json of a comparison of blocks on that board"
    try:
        boards = json.loads(path.read_text())["boards"]
        return [str(block) for block in boards[board]["blocks"]]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"not a verdict about blocks ({type(error).__name__})", where=str(path), fix=fix) from None
    except KeyError:
        raise InputError(f"has no verdict for board {board!r}", where=str(path), fix=fix) from None
