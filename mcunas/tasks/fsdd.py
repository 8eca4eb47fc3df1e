# SPDX-License-Identifier: Apache-2.0
"""FSDD, the free spoken digit dataset (Jakobovski and others, CC BY-SA 4.0): ten words as 49x10 MFCC (mfcc.py).

Test is two speakers that are heard nowhere else. Of the other four speakers' recordings the eighth with the lowest
SHA-256 is validation, so the split depends on no library, order or seed.
"""
from __future__ import annotations

import hashlib
import io
import wave

import numpy as np

from mcunas.errors import InputError
from mcunas.tasks.augment import Augment
from mcunas.tasks.mfcc import RATE_HZ, mfcc, one_second
from mcunas.tasks.schedule import Schedule
from mcunas.tasks.store import demand_sha256, digest, download, members, obtain, provided
from mcunas.tasks.task import Split, Task

ORIGIN = ("https://codeload.github.com/Jakobovski/free-spoken-digit-dataset/tar.gz/"
          "26eb9aaf76e81b692f806f9140c2d2777410d7a1")
DIGEST = "c92373fc0ad66898367c60db5fde25b6ad3cde2af48b35a53ab45c1bf9174e66"        # of names and contents, sorted
TEST_SPEAKERS = ("lucas", "theo")
VALIDATION_SHARE = 8        # one recording in so many

# Per coefficient: what is subtracted and what is one unit, in Q8, near the training speakers' mean and deviation.
OFFSET = np.array([25000, 1045, 330, -213, -464, -366, -170, -142, -153, -40])
SPREAD = np.array([12500, 1940, 1159, 808, 925, 783, 563, 452, 425, 348])
STEPS = 32                  # of int8 in a unit


def recordings() -> dict[str, bytes]:
    """File name -> .wav content, in order of names; the digest checked. Raises InputError."""
    folder = provided("fsdd/recordings")
    if folder:
        found, where = {p.name: p.read_bytes() for p in folder.glob("*.wav")}, str(folder)
    else:
        path = obtain("fsdd/recordings.tar.gz", _fetch)
        found, where = _unpack(path.read_bytes(), str(path)), str(path)
    return _checked(found, where)


def _fetch() -> bytes:
    archive = download([ORIGIN], "fsdd/recordings")
    _checked(_unpack(archive, ORIGIN), ORIGIN)
    return archive


def _unpack(archive: bytes, where: str) -> dict[str, bytes]:
    return members(archive, lambda path: path.startswith("recordings/") and path.endswith(".wav"), where)


def _checked(found: dict[str, bytes], where: str) -> dict[str, bytes]:
    """An archive's own bytes may change with the server's packer, so it is the recordings that are checked."""
    found = dict(sorted(found.items()))
    demand_sha256(digest(part for name, content in found.items() for part in (name.encode(), content)), DIGEST, where)
    return found


def samples(name: str, content: bytes) -> np.ndarray:
    """The int16 samples of a .wav file. Raises InputError unless it is mono, 16 bits, 8 kHz."""
    with wave.open(io.BytesIO(content)) as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, RATE_HZ):
            raise InputError(f"not a mono 16-bit recording at {RATE_HZ} Hz", where=name)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def to_int8(features: np.ndarray) -> np.ndarray:
    """int64 (..., 10) of `mfcc` -> int8, one multiplication per coefficient."""
    factor = (STEPS << 16) // SPREAD
    return np.clip(((features - OFFSET) * factor + (1 << 15)) >> 16, -128, 127).astype(np.int8)


def load() -> Task:
    """MFCC in units of their spread as int8: scale 1/32, zero point 0. Raises InputError when the data cannot be had."""
    found = recordings()
    order = sorted(found, key=lambda name: hashlib.sha256(found[name]).digest())        # <digit>_<speaker>_<take>.wav
    is_test = [name.split("_")[1] in TEST_SPEAKERS for name in order]
    held = [n for n, t in zip(order, is_test) if t]
    rest = [n for n, t in zip(order, is_test) if not t]
    cut = len(rest) // VALIDATION_SHARE
    parts = []
    for names in (rest[cut:], rest[:cut], held):
        sounds = np.stack([one_second(samples(n, found[n])) for n in names])
        parts.append(Split(to_int8(mfcc(sounds))[..., None], np.array([int(n[0]) for n in names], np.int64)))
    train, validation, test = parts
    return Task("fsdd", 10, train, validation, test, 1 / STEPS, 0,
                augment=Augment(roll_rows=6, repeat_edge=True, noise=0.15), start="separable",
                options={"widths": [64, 64, 64, 64, 64], "strides": [[1, 1]] * 4,
                         "stem_kernel": [10, 4], "stem_stride": [2, 2]},
                schedule=Schedule(prune_epochs=24, finetune_epochs=36, qat_epochs=8, rate=0.05))
