# SPDX-License-Identifier: Apache-2.0
"""Packing of weights and requantization for the DSP kernels, and the proofs that their short arithmetic is exact.

Two output channels A and B share halfwords 256 * B + A; S = sum (256 B + A) x and T = sum A x are taken modulo 2^32,
and (S - T) / 256 is sum B x as long as that lies within 24 bits. Requantization doubles the accumulator and takes the
upper word of the product with the multiplier, which is SRDHM while the accumulator lies within 31 bits. All of it is
checked here with the layer's own weights; a layer that fails keeps the portable kernel.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcunas.compiler.lower.dsp_lines import Lines
from mcunas.graph.arithmetic import clamp_int8, scale_int32
from mcunas.graph.integer_params import Requant

_INPUT_REACH = 128             # largest magnitude of an input byte
_SUM_REACH = 1 << 23           # of sum B x


def quad_positions(run_bytes: int) -> np.ndarray:
    """int64 (quads, 4): which byte of a run each byte of a quad multiplies; -1 = none (its weight is 0).

    The last quad of a run that is no multiple of four lies at the run's end and repeats bytes; where the run is shorter
    than a quad, zeros follow it.
    """
    whole = run_bytes // 4 * 4
    positions = np.arange(whole, dtype=np.int64).reshape(-1, 4)
    rest = run_bytes - whole
    if rest == 0:
        return positions
    last = np.full(4, -1, np.int64)
    if run_bytes < 4:
        last[:rest] = np.arange(rest)
    else:
        last[4 - rest:] = np.arange(whole, run_bytes)
    return np.vstack([positions, last])


def in_steps(weights: np.ndarray) -> np.ndarray:
    """int64 (channels, steps, 2) of weights (channels, runs, run_bytes): quads of all runs, two steps each, then the
    bytes after the quads of all runs, in twos."""
    channels, whole = weights.shape[0], weights.shape[2] // 4 * 4
    single = weights[:, :, whole:].reshape(channels, -1).astype(np.int64)
    rest = np.pad(single, ((0, 0), (0, single.shape[1] % 2))).reshape(channels, -1, 2)
    quads = weights[:, :, :whole].reshape(channels, -1, 4)[:, :, [0, 2, 1, 3]].astype(np.int64)
    return np.concatenate([quads.reshape(channels, -1, 2), rest], axis=1)


def in_quads(weights: np.ndarray) -> np.ndarray:
    """int64 (channels, steps, 2) of weights (channels, runs, run_bytes): quads of inputs, two words each."""
    positions = quad_positions(weights.shape[2])
    quads = np.where(positions >= 0, weights.astype(np.int64)[:, :, np.maximum(positions, 0)], 0)
    words = quads.reshape(weights.shape[0], -1, 4)[:, :, [0, 2, 1, 3]]         # bytes 0 and 2, then 1 and 3
    return words.reshape(weights.shape[0], -1, 2)


def padded(steps: np.ndarray, to: int) -> np.ndarray:
    """Channels of zeros after the last one, up to a multiple of `to`."""
    return np.concatenate([steps, np.zeros((-steps.shape[0] % to, *steps.shape[1:]), steps.dtype)])


def halfwords_joined(values: np.ndarray) -> np.ndarray:
    """uint32 of (..., 2): the first in the low half."""
    return ((values[..., 0] & 0xFFFF) | (values[..., 1] & 0xFFFF) << 16).astype(np.uint32)


def byte_pairs(steps: np.ndarray) -> np.ndarray | None:
    """uint32 (pairs, steps): two channels per halfword, two inputs per word. An odd last channel gets a B of zeros.

    None when a pair does not fit its halfwords or sum B x may leave 24 bits.
    """
    steps = padded(steps, 2)
    a, b = steps[0::2], steps[1::2]
    halves = 256 * b + a
    if halves.min() < -(1 << 15) or halves.max() >= 1 << 15 or (
            np.abs(b).sum(axis=(1, 2)).max() * _INPUT_REACH >= _SUM_REACH):
        return None
    return halfwords_joined(halves)


def fours(steps: np.ndarray, present: np.ndarray | None = None) -> np.ndarray | None:
    """uint32 (blocks of four channels, steps) of int4 weights: four channels per halfword (mn_conv_s4_dsp in mn_nn_dsp.h),
    two inputs per word. present: False (steps, 2) where no input is to count; None: all of them do.

    None when a sum may leave the bits that its place in the halfword leaves it.
    """
    a, b, c, d = (padded(steps, 4)[k::4] for k in range(4))
    reach = [int(np.abs(part).sum(axis=(1, 2)).max()) * _INPUT_REACH for part in (b, c, d)]
    if reach[0] >= 1 << 27 or reach[1] >= _SUM_REACH or reach[2] >= 1 << 19:
        return None
    halves = 4096 * d + 256 * (c + 8) + 16 * (b + 8) + a + 8
    return halfwords_joined(halves if present is None else np.where(present, halves, 0))


def in_blocks(words: np.ndarray, channels: int, per_block: int, per_word: int) -> np.ndarray:
    """The words of (channels / per_word, steps) as kernels read them: blocks of per_block channels as [step][word], then
    two channels at a time."""
    whole = channels // per_block * per_block // per_word
    parts = [words[first:first + per_block // per_word] for first in range(0, whole, per_block // per_word)]
    parts += [words[first:first + 2 // per_word] for first in range(whole, words.shape[0], 2 // per_word)]
    return np.concatenate([part.T.reshape(-1) for part in parts])


@dataclass(frozen=True, eq=False)
class Short:
    """Constants of short requantization per channel, int64 (channels,): bias2 is twice the folded bias, shift the right
    shift less one."""

    bias2: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray


def short(p: Requant, weights: np.ndarray, bias: np.ndarray) -> Short | None:
    """For weights (channels, inputs) and folded biases (channels,); None where the short way is not exact.

    A channel without weights has one output value, whatever its bias and multiplier are: it gets ones that give it.
    """
    total = np.abs(weights.astype(np.int64)).sum(axis=1)
    multiplier, shift = (np.broadcast_to(v, bias.shape) for v in (p.multiplier, p.shift))
    value = clamp_int8(scale_int32(bias, multiplier, shift) + p.output_zero_point).astype(np.int64)
    constant = (total == 0) | (multiplier == 0)
    bias2 = np.where(constant, 8 * (value - p.output_zero_point), 2 * bias)
    multiplier = np.where(total == 0, 1 << 30, multiplier)
    right = np.where(constant, 1, -shift)
    reach2 = 2 * total * _INPUT_REACH + np.abs(bias2)
    rounding = np.abs(2 * p.output_zero_point + 1) << np.clip(right - 1, 0, 31)
    fits = (reach2 < 1 << 31) & (right >= 1) & (((reach2 * multiplier) >> 32) + 2 + rounding < 1 << 31)
    return Short(bias2, multiplier, right - 1) if fits.all() else None


def requant_blocks(p: Short) -> np.ndarray:
    """int32: per four channels a word of four shifts, then (twice the folded bias, multiplier) per channel."""
    words = requant_rows(p).reshape(-1).view(np.int32)
    return words[:words.size - 2 * (-p.bias2.size % 4)]


def requant_rows(p: Short | Lines) -> np.ndarray:
    """uint32 (blocks of four channels, 8 or 9): per channel (offset, slope); or a word of four shifts, then (twice the
    folded bias, multiplier) per channel."""
    columns = (p.offset, p.slope) if isinstance(p, Lines) else (p.bias2, p.multiplier, p.shift)
    table = padded(np.stack(columns, axis=1), 4)
    words = table[:, :2].reshape(-1, 8)
    if isinstance(p, Short):
        words = np.concatenate([_bytes(table[:, 2])[:, None], words], axis=1)
    return (words & 0xFFFFFFFF).astype(np.uint32)


def in_stream(words: np.ndarray, requant: np.ndarray, per_word: int) -> np.ndarray:
    """uint32: weights as mn_conv_block_dsp.h reads them. words (channels / per_word, steps): each word serves per_word
    channels. Blocks of four channels as [step][word], then their requantization; one or two channels last."""
    parts = []
    for block, constants in enumerate(requant):
        of_block = words[block * 4 // per_word:(block + 1) * 4 // per_word]
        parts += [of_block.T.reshape(-1), constants]
    return np.concatenate(parts)


_TAPS = [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 1), (1, 2), (2, 0)]     # in the depthwise kernels; then (2, 2)


def depthwise_3x3(weights: np.ndarray, p: Short | Lines) -> np.ndarray:
    """uint32 of weights (3, 3, channels): five words per channel, the last four channels once more if they are odd."""
    taps = _bytes(np.stack([weights[y, x] for y, x in _TAPS], axis=1).reshape(-1)).reshape(-1, 2)
    shift, *finish = (0, p.offset, p.slope) if isinstance(p, Lines) else (p.shift, p.bias2, p.multiplier)
    rest = np.stack([weights[2, 2] << 8 | shift, *finish], axis=1)
    words = np.concatenate([taps, rest], axis=1)[_in_fours(weights.shape[2])]
    return (words.reshape(-1) & 0xFFFFFFFF).astype(np.uint32)


def depthwise_3x3_int4(weights: np.ndarray, p: Short | Lines) -> np.ndarray:
    """uint32 of int4 weights (3, 3, channels), per four channels as mn_depthwise_s4_dsp in mn_nn_dsp.h describes them."""
    again = _in_fours(weights.shape[2])
    weights = weights[:, :, again]
    taps = np.stack([weights[y, x] + 8 for y, x in _TAPS], axis=1)
    parts = [_bytes((taps[:, :4] | taps[:, 4:] << 4).reshape(-1)).reshape(-1, 4), _bytes(weights[2, 2])[:, None]]
    if isinstance(p, Short):
        parts.append(_bytes(p.shift[again])[:, None])
    finish = (p.offset, p.slope) if isinstance(p, Lines) else (p.bias2, p.multiplier)
    parts.append(np.stack(finish, axis=1)[again].reshape(-1, 8))
    return (np.concatenate(parts, axis=1).reshape(-1) & 0xFFFFFFFF).astype(np.uint32)


def _in_fours(channels: int) -> np.ndarray:
    """int64: the channels in order; where they are no multiple of four, the last four stand in the place of the rest."""
    whole = np.arange(channels // 4 * 4)
    return np.concatenate([whole, np.arange(channels - 4, channels)]) if channels % 4 else whole


def _bytes(values: np.ndarray) -> np.ndarray:
    """int64: words of four bytes each (little-endian), padded with zeros."""
    return (padded(values, 4).astype(np.int64) & 0xFF).reshape(-1, 4) @ (1 << np.arange(0, 32, 8))
