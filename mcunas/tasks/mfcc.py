# SPDX-License-Identifier: Apache-2.0
"""Speech features as a microcontroller computes them: 49 frames of 10 mel-frequency cepstral coefficients, integers only.

One second at 8 kHz, frames of 40 ms every 20 ms. Per frame: Hann window (Q15), 320-point DFT (Q15 tables) to bins of
25 Hz, power, 32 triangular mel bands from 20 Hz to 4 kHz (Q7 weights), base-2 logarithm by table (Q8), DCT-II (Q14).
Sums are exact and each stage ends with one rounding shift, so the features are the same bytes anywhere. numpy's float64
matrix product serves as an exact integer one: every sum stays below 2**53. In C the same takes 32x32->64 multiplies.
"""
from __future__ import annotations

from functools import cache

import numpy as np
from threadpoolctl import threadpool_limits

RATE_HZ = 8000
FRAME, HOP, FRAMES = 320, 160, 49
BINS, BANDS, COEFFICIENTS = FRAME // 2 + 1, 32, 10
LOWEST_HZ = 20.0
SECOND = FRAME + HOP * (FRAMES - 1)


def one_second(samples: np.ndarray) -> np.ndarray:
    """int16 (n,) -> (8000,): the middle of a longer recording, zeros on both sides of a shorter one."""
    extra = len(samples) - SECOND
    if extra >= 0:
        return samples[extra // 2:extra // 2 + SECOND]
    return np.pad(samples, (-extra // 2, -extra - -extra // 2))


def mfcc(sounds: np.ndarray) -> np.ndarray:
    """int16 (N, 8000) -> int64 (N, 49, 10), coefficients in Q8 of log2(power)."""
    features = np.zeros((len(sounds), FRAMES, COEFFICIENTS), np.int64)
    with threadpool_limits(1):                          # products this small are slower on two threads
        for sound, found in zip(sounds, features):
            frames = np.lib.stride_tricks.sliding_window_view(sound, FRAME)[::HOP]
            is_sound = frames.any(axis=1)               # silence has log2(1) = 0 in every band
            found[is_sound] = _frames(frames[is_sound])
    return features


def _frames(frames: np.ndarray) -> np.ndarray:
    """int16 (..., 320) -> int64 (..., 10)."""
    hann, cosine, sine, mel, dct = tables()
    windowed = _shift(frames * hann, 15)                                            # |x| <= 2**15
    real, imaginary = _shift(windowed @ cosine, 18), _shift(windowed @ sine, 18)    # sums < 2**39, then 2**21
    power = real * real + imaginary * imaginary                                     # < 2**42
    bands = _shift(power @ mel, 7)                                                  # sums < 2**52
    return _shift(log2_q8(bands.astype(np.int64)).astype(np.float64) @ dct, 14).astype(np.int64)


def _shift(value: np.ndarray, bits: int) -> np.ndarray:
    """value / 2**bits of integers held as float64, rounded half up."""
    return np.floor(value * 2.0**-bits + 0.5)


def log2_q8(value: np.ndarray) -> np.ndarray:
    """int64 >= 0 -> round(256 * log2(max(value, 1))), of the eight bits behind the leading one."""
    value = np.maximum(value, 1)
    exponent = np.frexp(value.astype(np.float64))[1].astype(np.int64) - 1
    exponent -= (np.int64(1) << exponent) > value           # float64 rounded up to the next power of two
    fraction = np.where(exponent >= 8, value >> np.maximum(exponent - 8, 0), value << np.maximum(8 - exponent, 0)) & 0xFF
    return (exponent << 8) + _log_table()[fraction]


@cache
def _log_table() -> np.ndarray:
    return np.rint(256 * np.log2(1 + np.arange(256) / 256)).astype(np.int64)


@cache
def tables() -> tuple[np.ndarray, ...]:
    """Integers held as float64: Hann (320,), cosine and sine (320, 161), mel weights (161, 32), DCT (32, 10)."""
    n, top = np.arange(FRAME), (1 << 15) - 1
    hann = np.rint(top * (0.5 - 0.5 * np.cos(2 * np.pi * n / FRAME)))
    angle = 2 * np.pi * (np.outer(n, np.arange(BINS)) % FRAME) / FRAME
    edges = _hertz(np.linspace(_mel(LOWEST_HZ), _mel(RATE_HZ / 2), BANDS + 2))
    hertz, mel = np.arange(BINS) * RATE_HZ / FRAME, []
    for low, middle, high in zip(edges, edges[1:], edges[2:]):
        rising, falling = (hertz - low) / (middle - low), (high - hertz) / (high - middle)
        weight = np.rint(128 * np.clip(np.minimum(rising, falling), 0, 1))
        if not weight.any():                    # a band narrower than a bin
            weight[round(float(middle) * FRAME / RATE_HZ)] = 128
        mel.append(weight)
    steps = np.outer(np.arange(BANDS) + 0.5, np.arange(COEFFICIENTS)) * np.pi / BANDS
    dct = np.rint((1 << 14) * np.cos(steps) * np.sqrt(2 / BANDS))
    return hann, np.rint(top * np.cos(angle)), np.rint(top * np.sin(angle)), np.stack(mel, 1), dct


def _mel(hertz: float) -> float:
    return 2595 * np.log10(1 + hertz / 700)


def _hertz(mel: np.ndarray) -> np.ndarray:
    return 700 * (10 ** (mel / 2595) - 1)
