# SPDX-License-Identifier: Apache-2.0
"""HAR: five activities from a phone's or a watch's accelerometer and gyroscope, windows of 128 samples at 100 Hz.

Matey-Sanz, Casteleyn, Granell, "Dataset of inertial measurements of smartphones and smartwatches for human activity
recognition", Data in Brief 2023 (CC BY 4.0). Windows overlap by half and lie within one activity. Subjects are ordered
by a SHA-256: six are test, three validation, fourteen train, so nobody is in two splits. 71 % of all windows are
walking: an accuracy has to be seen beside that.
"""
from __future__ import annotations

import csv
import hashlib
import io
import re

import numpy as np

from mcunas.errors import InputError
from mcunas.tasks.augment import Augment
from mcunas.tasks.schedule import Schedule
from mcunas.tasks.store import demand_sha256, digest, download, members, obtain
from mcunas.tasks.task import Split, Task

ORIGIN = "https://codeload.github.com/GeoTecINIT/sp-sw-har-dataset/tar.gz/1408d85a512a53861de7bc4729dee283fff2ea9d"
DIGEST = "b1a1cd0fd6db6a68dfad7e638fa27855f06f3b0b62bc0cbcb2616a71f875dcc2"        # of the windows' four arrays
NAME = "har/har_windows128.npz"
WINDOW, HOP = 128, 64
ACTIVITIES = ("SEATED", "SITTING_DOWN", "STANDING_UP", "TURNING", "WALKING")
TEST_SUBJECTS, VALIDATION_SUBJECTS = 6, 3
STEPS = np.array([4, 4, 4, 16, 16, 16])     # of int8 in 1 m/s2 (to 32 m/s2) and in 1 rad/s (to 8 rad/s)

Arrays = dict[str, np.ndarray]              # x float32 (N, 128, 6), y <U12, subject int64, device <U2, all (N,)


def windows(files: dict[str, bytes]) -> Arrays:
    """From s<subject>_<execution>_<sp|sw>.csv: every whole window of each stretch of one activity, in order of names."""
    found: dict[str, list] = {"x": [], "y": [], "subject": [], "device": []}
    for name, content in sorted(files.items()):
        rows = list(csv.reader(io.StringIO(content.decode())))[1:]
        values = np.array([row[:6] for row in rows]).astype(np.float64).astype(np.float32)
        labels = np.array([row[7] for row in rows])
        ends = [0, *(np.flatnonzero(labels[1:] != labels[:-1]) + 1), len(labels)]
        starts = [s for a, b in zip(ends, ends[1:]) for s in range(a, b - WINDOW + 1, HOP)]
        for start in starts:
            found["x"].append(values[start:start + WINDOW])
            found["y"].append(labels[start])
            found["subject"].append(int(name[1:3]))
            found["device"].append(name[-6:-4])
    return {"x": np.stack(found["x"]), "y": np.array(found["y"], "<U12"),
            "subject": np.array(found["subject"], np.int64), "device": np.array(found["device"], "<U2")}


def _digest(arrays: Arrays) -> str:
    types = {"x": "<f4", "y": "S12", "subject": "<i8", "device": "S2"}
    return digest(np.ascontiguousarray(arrays[k].astype(t)).tobytes() for k, t in types.items())


def _fetch() -> bytes:
    archive = download([ORIGIN], NAME)
    is_execution = re.compile(r"DATA/s\d\d/s\d\d_\d\d_s[pw]\.csv").fullmatch
    files = members(archive, lambda path: is_execution(path) is not None, ORIGIN)
    try:
        arrays = windows(files)
    except (ValueError, IndexError) as error:
        raise InputError(f"its tables are not as expected ({type(error).__name__})", where=ORIGIN) from None
    demand_sha256(_digest(arrays), DIGEST, ORIGIN)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _arrays() -> Arrays:
    """The windows, their digest checked. Raises InputError."""
    path = obtain(NAME, _fetch)
    try:
        with np.load(path) as file:
            arrays = {key: file[key] for key in ("x", "y", "subject", "device")}
    except Exception as error:
        raise InputError(f"not a file of windows ({type(error).__name__})", where=str(path), fix="remove it") from None
    demand_sha256(_digest(arrays), DIGEST, str(path))
    return arrays


def load() -> Task:
    """Windows as images (128, 1, 6), int8: scale 1/32, zero point 0. Raises InputError when the data cannot be had."""
    arrays = _arrays()
    pixels = np.clip(np.rint(arrays["x"] * STEPS), -128, 127).astype(np.int8)[:, :, None, :]
    labels = np.searchsorted(ACTIVITIES, arrays["y"]).astype(np.int64)
    shuffled = np.array(sorted(range(len(labels)), key=lambda i: hashlib.sha256(arrays["x"][i].tobytes()).digest()))
    subjects = sorted(set(arrays["subject"].tolist()), key=lambda s: hashlib.sha256(b"har subject %d" % s).digest())
    first = TEST_SUBJECTS + VALIDATION_SUBJECTS
    parts = []
    for chosen in (subjects[first:], subjects[TEST_SUBJECTS:first], subjects[:TEST_SUBJECTS]):
        index = shuffled[np.isin(arrays["subject"][shuffled], chosen)]
        parts.append(Split(pixels[index], labels[index]))
    train, validation, test = parts
    return Task("har", len(ACTIVITIES), train, validation, test, 1 / 32, 0, start="separable",
                augment=Augment(gain=0.15, noise=0.05, roll_rows=16, repeat_edge=True),
                options={"widths": [32, 48, 64, 64, 96], "strides": [[2, 1], [1, 1], [2, 1], [2, 1]],
                         "stem_kernel": [9, 1], "stem_stride": [2, 1], "kernel": [9, 1]},
                schedule=Schedule(prune_epochs=24, finetune_epochs=36, qat_epochs=8, rate=0.05))
