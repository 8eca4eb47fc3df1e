# SPDX-License-Identifier: Apache-2.0
"""Tables of the kernels for the M-profile vector extension; firmware/kernels/mn_nn_mve.h states the layouts."""
from __future__ import annotations

import numpy as np

from mcunas.compiler.lower.int4 import in_pairs
from mcunas.graph.integer_params import Requant

STEP = 16                                                   # bytes of a vector
TAPS = 9                                                    # of a depthwise window
EIGHT = (0, 2, 4, 6, 1, 3, 5, 7)                            # channels as the lanes of two narrowed vectors hold them
FOUR = (0, 1, 2, 3)
SIXTEEN = (0, 4, 8, 12, 2, 6, 10, 14, 1, 5, 9, 13, 3, 7, 11, 15)


def steps_of(depth: int) -> int:
    return -(-depth // STEP)


def in_blocks(weights: np.ndarray, block: int) -> np.ndarray:
    """int8 (n,) of weights (channels, depth): whole blocks as [step][channel][16], then channels by themselves."""
    channels, depth = weights.shape
    whole, steps = channels // block * block, steps_of(depth)
    padded = np.zeros((whole, steps * STEP), np.int8)
    padded[:, :depth] = weights[:whole]
    blocks = padded.reshape(-1, block, steps, STEP).transpose(0, 2, 1, 3)
    return np.concatenate([blocks.reshape(-1), weights[whole:].reshape(-1)])


def in_pair_blocks(weights: np.ndarray, block: int) -> np.ndarray:
    """int8 (n,) of int4 weights (channels, depth), two channels a byte: whole blocks as [step][pair][16], then pairs as
    [step][16]."""
    channels, depth = weights.shape
    steps = steps_of(depth)
    pairs = in_pairs(np.pad(weights, ((0, 0), (0, steps * STEP - depth)))).reshape(-1, steps, STEP)
    whole, per_block = channels // block * block // 2, block // 2
    blocks = pairs[:whole].reshape(-1, per_block, steps, STEP).transpose(0, 2, 1, 3)
    return np.concatenate([blocks.reshape(-1), pairs[whole:].reshape(-1)])


def depthwise_blocks(weights: np.ndarray, block: int, taps: int = TAPS) -> np.ndarray:
    """int8 (n,) of weights (taps used, channels): [block][tap][channel], taps filled up with zeros."""
    padded = np.zeros((taps, weights.shape[1]), np.int8)
    padded[:weights.shape[0]] = weights
    return np.concatenate([padded[:, first:first + block].reshape(-1) for first in starts(weights.shape[1], block)])


def starts(channels: int, block: int) -> list[int]:
    """First channels of the blocks; the last one overlaps the one before it when they do not fit evenly."""
    found = list(range(0, channels - block + 1, block))
    return found if channels % block == 0 else [*found, channels - block]


def requant_table(p: Requant, bias: np.ndarray, firsts: list[int], lanes: tuple[int, ...],
                  bias_lanes: tuple[int, ...], singles: int = 0) -> np.ndarray:
    """int32 (n,): blocks of len(lanes) channels from `firsts` on, then the last `singles` channels by themselves."""
    channels = bias.size
    multiplier = np.broadcast_to(p.multiplier, channels)
    shift = np.where(multiplier == 0, -1, np.broadcast_to(p.shift, channels))
    parts = []
    for first in firsts:
        order = first + np.array(lanes)
        shifts = shift[order].astype(np.int8).view(np.int32)
        parts += [bias[first + np.array(bias_lanes)], multiplier[order], shifts]
    single = slice(channels - singles, channels)
    parts.append(np.stack([bias[single], multiplier[single], shift[single]], axis=1).reshape(-1))
    return np.concatenate(parts).astype(np.int32)


def rounds_ties(p: Requant) -> bool:
    """Whether the rounding of values below the output zero point shows."""
    return p.low < p.output_zero_point


def activation(p: Requant) -> dict[str, int]:
    """The kernels' struct members for output zero point and limits."""
    return {"output_zero_point": p.output_zero_point, "low": p.low, "high": p.high, "ties": int(rounds_ties(p))}


def is_plain(p: Requant) -> bool:
    """Whether the kernels can scale as p says: no left shifts, and a right shift wherever ties are to be rounded."""
    used = p.shift[p.multiplier != 0]
    return used.size == 0 or int(used.max()) <= (-1 if rounds_ties(p) else 0)
