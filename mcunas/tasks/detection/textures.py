# SPDX-License-Identifier: Apache-2.0
"""What stands behind the items: a level, slow clouds, a grating and grain, from a seeded generator."""
from __future__ import annotations

import numpy as np

LEVEL, CLOUDS, GRATING, GRAIN = (25.0, 110.0), 45.0, 25.0, 14.0       # grey levels, 0 to 255
KNOTS = 6           # of the clouds, along each side


def textures(count: int, size: int, random: np.random.RandomState) -> np.ndarray:
    """float32 (count, size, size)."""
    level = random.uniform(*LEVEL, (count, 1, 1))
    knots = random.uniform(-1, 1, (count, KNOTS, KNOTS)) * random.uniform(0, CLOUDS, (count, 1, 1))
    weights = _between(size)
    clouds = np.matmul(np.matmul(weights, knots), weights.T)
    angle, cycles = random.uniform(0, np.pi, (count, 1, 1)), random.uniform(2, 12, (count, 1, 1))
    phase, strength = random.uniform(0, 2 * np.pi, (count, 1, 1)), random.uniform(0, GRATING, (count, 1, 1))
    along = 2 * np.pi * cycles * np.arange(size) / size                             # (count, 1, size)
    x, y = np.cos(angle) * along + phase, (np.sin(angle) * along).transpose(0, 2, 1)
    grating = strength * (np.sin(x) * np.cos(y) + np.cos(x) * np.sin(y))            # the sine of x + y, at less cost
    drawn = np.frombuffer(random.bytes(count * size * size), np.int8).reshape(count, size, size)
    grain = drawn * random.uniform(0, GRAIN / 128, (count, 1, 1))
    return (level + clouds + grating + grain).astype(np.float32)


def _between(size: int) -> np.ndarray:
    """(size, KNOTS): linear interpolation from the knots to the pixels."""
    at = np.linspace(0, KNOTS - 1, size)
    return np.clip(1 - np.abs(at[:, None] - np.arange(KNOTS)), 0, 1)
