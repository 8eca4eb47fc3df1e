# SPDX-License-Identifier: Apache-2.0
"""The speech features: exact against Python's own integers, near a textbook MFCC in floating point, and in place."""
from __future__ import annotations

import math

import numpy as np

from mcunas.tasks import mfcc as m


def _shift(value: int, bits: int) -> int:
    return (value + (1 << (bits - 1))) >> bits


def _slow(frame: list[int]) -> list[int]:
    """One frame in Python integers, which cannot overflow or round."""
    hann, cosine, sine, mel, dct = ([[int(v) for v in row] for row in np.atleast_2d(t)] for t in m.tables())
    x = [_shift(v * w, 15) for v, w in zip(frame, hann[0])]
    power = []
    for k in range(m.BINS):
        real = _shift(sum(v * cosine[n][k] for n, v in enumerate(x)), 18)
        imaginary = _shift(sum(v * sine[n][k] for n, v in enumerate(x)), 18)
        power.append(real * real + imaginary * imaginary)
    bands = [_shift(sum(p * mel[k][b] for k, p in enumerate(power)), 7) for b in range(m.BANDS)]
    logs = []
    for band in bands:
        band = max(band, 1)
        exponent = band.bit_length() - 1
        fraction = (band << 8 >> exponent) & 0xFF
        logs.append((exponent << 8) + round(256 * math.log2(1 + fraction / 256)))
    return [_shift(sum(v * dct[b][c] for b, v in enumerate(logs)), 14) for c in range(m.COEFFICIENTS)]


def _sounds() -> np.ndarray:
    random, t = np.random.default_rng(0), np.arange(m.SECOND) / m.RATE_HZ
    tone = 9000 * np.sin(2 * np.pi * 440 * t) + 2000 * np.sin(2 * np.pi * 1900 * t)
    return np.stack([tone.astype(np.int16), random.integers(-32768, 32768, m.SECOND).astype(np.int16),
                     np.full(m.SECOND, -32768, np.int16), random.integers(-2, 3, m.SECOND).astype(np.int16)])


def test_features_are_those_of_unbounded_integers() -> None:
    sounds = _sounds()
    found = m.mfcc(sounds)
    for sound, features in zip(sounds, found):
        for frame in (0, 31):
            start = frame * m.HOP
            assert features[frame].tolist() == _slow(sound[start:start + m.FRAME].tolist())


def test_features_are_near_a_textbook_mfcc() -> None:
    sounds = _sounds()[1:2]          # noise: no band is so empty that rounding fills it
    mel = m.tables()[3] / 128
    frames = np.stack([sounds[:, s:s + m.FRAME] for s in range(0, m.SECOND - m.FRAME + 1, m.HOP)], 1)
    power = np.abs(np.fft.rfft(frames * np.hanning(m.FRAME + 1)[:-1])) ** 2 / 64        # 2 x 3 bits are shifted out
    logs = np.log2(power @ mel + 1)
    dct = np.cos(np.outer(np.arange(m.BANDS) + 0.5, np.arange(m.COEFFICIENTS)) * np.pi / m.BANDS) * np.sqrt(2 / m.BANDS)
    assert np.abs(m.mfcc(sounds) / 256 - logs @ dct).max() < 0.05


def test_silence_is_zero_and_a_recording_sits_in_the_middle() -> None:
    assert not m.mfcc(np.zeros((1, m.SECOND), np.int16)).any()
    assert m.one_second(np.arange(10, dtype=np.int16))[3995:4005].tolist() == list(range(10))
    assert m.one_second(np.arange(9000, dtype=np.int16))[0] == 500
    assert m.mfcc(_sounds()).shape == (4, 49, 10)


def test_the_logarithm_is_right_next_to_every_power_of_two() -> None:
    values = np.array([v for e in range(1, 62) for v in ((1 << e) - 1, 1 << e, (1 << e) + 1)])
    exact = np.array([256 * math.log2(int(v)) for v in values])
    assert np.abs(m.log2_q8(values) - exact).max() < 2
    assert m.log2_q8(np.array([0, 1, 2, 1 << 61])).tolist() == [0, 0, 256, 61 * 256]
