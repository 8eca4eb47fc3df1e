# SPDX-License-Identifier: Apache-2.0
"""Every coupled channel group of a network with its price: what a channel of it takes in flash, cycles and RAM.

Prices are the compiler's own at the dense widths, per channel, as the mean over the last few channels, because
alignment and SIMD make them staircases.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mcunas.prune.groups import Group
from mcunas.prune.masks import LEAST_WIDTH
from mcunas.prune.resources import Resources

if TYPE_CHECKING:
    from mcunas.board import Board
    from mcunas.cost.estimate import Simulator
    from mcunas.cost.skeleton import Skeleton

OVER = 4        # channels that a price is the mean of


def explain(groups: Sequence[Group], frozen: Sequence[tuple[tuple[str, ...], str]], skeleton: Skeleton,
            board: Board, simulator: Simulator | None = None) -> dict[str, Any]:
    """{"use": of the dense network, "ops": names, "groups": [...], "frozen": [...]}; RAM steps are indices of ops.

    A group's price is per channel removed: flash_bytes, cycles, and ram_bytes by op, where it takes any; peak_ram_bytes
    is what the arena's peak falls by. simulator: see Resources.
    """
    resources = Resources(skeleton, board, simulator=simulator)
    full = tuple(skeleton.full)
    dense = resources.exact(full)
    cycles_per_us = board.clock_hz / 1e6
    found = []
    for g, group in enumerate(groups):
        count = min(OVER, group.channels - 1)
        less = resources.exact([w - count * (i == g) for i, w in enumerate(full)]) if count else dense
        live = (np.array(dense.live_bytes) - np.array(less.live_bytes)) / max(count, 1)
        found.append({
            "name": group.name, "members": list(group.modules), "channels": group.channels,
            "least": min(LEAST_WIDTH, group.channels), "flash_bytes": (dense.flash_bytes - less.flash_bytes) / max(count, 1),
            "cycles": (dense.latency_us - less.latency_us) * cycles_per_us / max(count, 1),
            "peak_ram_bytes": (dense.ram_bytes - less.ram_bytes) / max(count, 1),
            "ram_bytes": {i: float(b) for i, b in enumerate(live) if b}})
    return {"board": board.key,
            "use": {"ram_bytes": dense.ram_bytes, "flash_bytes": dense.flash_bytes, "latency_us": dense.latency_us,
                    "live_bytes": list(dense.live_bytes)},
            "ops": [f"{i} {op.kind}" for i, op in enumerate(skeleton.graph.ops)], "groups": found,
            "frozen": [{"members": list(members), "reason": reason} for members, reason in frozen]}
