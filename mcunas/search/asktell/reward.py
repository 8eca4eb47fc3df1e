# SPDX-License-Identifier: Apache-2.0
"""MnasNet's objective: accuracy x (latency / target)^w, w for latencies up to the target and another beyond (Tan et al.,
arXiv 1807.11626, section 3)."""
from __future__ import annotations

from mcunas.errors import InputError

# name -> (w up to the target, w beyond). soft: twice the latency is worth 5 % more accuracy, 2^-0.07 = 1 / 1.05.
EXPONENTS = {"hard": (0.0, -1.0), "soft": (-0.07, -0.07)}


def exponents_of(name: str) -> tuple[float, float]:
    """Raises InputError for a name that there is not."""
    if name not in EXPONENTS:
        raise InputError(f"mnas has no exponent {name!r}", fix=f"use one of {', '.join(EXPONENTS)}")
    return EXPONENTS[name]


def reward(accuracy: float, latency: float, target: float | None, exponents: tuple[float, float]) -> float:
    """latency, target: in one unit; without a target it is the accuracy."""
    if target is None:
        return accuracy
    below, beyond = exponents
    return accuracy * (latency / target) ** (below if latency <= target else beyond)
