# SPDX-License-Identifier: Apache-2.0
"""Pseudo-random inputs that host and board compute alike, so that they need not travel (firmware/app/input.c).

xorshift32 (Marsaglia 2003, triple 13, 17, 5), four bytes a step, least significant first. Integer tensors take the
bytes as they are; a float32 value is a byte as int8 divided by 32.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SEEDS = 4_294_967_290      # that a command can carry (to_u32 of firmware/app/command.c); beyond, they begin anew


def random_bytes(seed: int, count: int) -> np.ndarray:
    """`count` bytes of the stream as uint8."""
    state = (seed + 1) * 0x9E3779B9 & 0xFFFFFFFF or 1
    words = np.empty((count + 3) // 4, "<u4")
    for i in range(words.size):
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        words[i] = state
    return words.view(np.uint8)[:count]


def random_inputs(seed: int, tensors: Sequence[tuple[tuple[int, ...], str]]) -> list[np.ndarray]:
    """One array per (shape NHWC, dtype "int8" | "uint8" | "int16" | "float32")."""
    sizes = [int(np.prod(shape)) * (2 if dtype == "int16" else 1) for shape, dtype in tensors]
    stream = random_bytes(seed % SEEDS, sum(sizes))
    arrays, at = [], 0
    for (shape, dtype), size in zip(tensors, sizes):
        drawn = stream[at:at + size]
        at += size
        if dtype == "float32":
            array = drawn.view(np.int8).astype(np.float32) * np.float32(1 / 32)
        else:
            array = np.ascontiguousarray(drawn).view(np.dtype(dtype).newbyteorder("<")).astype(dtype)
        arrays.append(array.reshape(shape))
    return arrays
