# SPDX-License-Identifier: Apache-2.0
"""What a population of good networks says about the options of each slot: PAD-NAS's evidence (Xia et al., arXiv 2005.07564).

From the paper: operations are pruned layer by layer, by how often the best networks use them. Our own design
(nas-methods.md, paper 6): an option goes only if the upper confidence bound of its share lies below half of an equal
share, so that noise does not prune, and only so many go at once.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence

Z = 1.64        # one-sided 95 %


def shares(alive: Mapping[str, Sequence[str]], nets: Sequence[Mapping[str, str]]) -> dict[str, dict[str, float]]:
    """slot -> option -> share of `nets` (slot -> option) that use it there."""
    return {slot: {option: sum(net[slot] == option for net in nets) / len(nets) for option in options}
            for slot, options in alive.items()}


def upper_bound(share: float, count: int) -> float:
    """Wilson's upper bound of a share that `count` networks showed; the normal one would be 0 for an option never seen."""
    z2 = Z * Z / count
    return (share + z2 / 2 + Z * ((share * (1 - share) + z2 / 4) / count) ** 0.5) / (1 + z2)


def to_drop(alive: Mapping[str, Sequence[str]], nets: Sequence[Mapping[str, str]], ratio: float = 1 / 3,
            least: int = 2) -> dict[str, list[str]]:
    """slot -> options to take away: the rarest first, at most `ratio` of those alive, and at least `least` stay."""
    dropped = {}
    for slot, share in shares(alive, nets).items():
        count = len(share)
        rare = [o for o in sorted(share, key=share.__getitem__) if upper_bound(share[o], len(nets)) < 1 / (2 * count)]
        dropped[slot] = rare[:max(min(int(ratio * count), count - least), 0)]
    return dropped
