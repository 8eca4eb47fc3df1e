# SPDX-License-Identifier: Apache-2.0
"""A user's own data as a Task: three iterables of batches are read once and put on the deployed input's int8 grid.

Reading once means that random changes inside a loader are frozen; give a Task with an Augment for fresh ones.
"""
from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from mcunas.errors import InputError
from mcunas.named import call_named
from mcunas.tasks.objective import Classification
from mcunas.tasks.schedule import Schedule
from mcunas.tasks.task import Split, Task

OWN: dict[str, Task] = {}       # given as objects in this process; name -> task
SPLITS = ("train", "validation", "test")


def load_named(name: str) -> Task:
    """The Task that `module:function` returns, or that its three loaders make. Raises InputError."""
    return replace(from_loaders(call_named(name), name), name=name)


def keep(loaders: Any) -> Task:
    """The Task of `loaders`, known in this process by a name that its content gives. Raises InputError."""
    task = from_loaders(loaders, "the loaders")
    task = replace(task, name=f"{task.name if isinstance(loaders, Task) else 'data'}@{task.digest()[:8]}")
    OWN[task.name] = task
    return task


def from_loaders(loaders: Any, where: str) -> Task:
    """loaders: a Task, or (train, validation, test), each an iterable of (images float (N, C, H, W), labels (N,)).

    The input's scale spans the training images. Raises InputError naming the split that is not like that.
    """
    if isinstance(loaders, Task):
        _demand_sound(loaders, where)
        return loaders
    if not isinstance(loaders, (tuple, list)) or len(loaders) != 3:
        raise InputError(f"not three loaders but {type(loaders).__name__}", where=where,
                         fix="give (train, validation, test), each an iterable of (images, labels)")
    read = [_read(loader, f"{where}, {split}") for loader, split in zip(loaders, SPLITS)]
    shape = read[0][0].shape[1:]
    for (images, _), split in zip(read, SPLITS):
        if images.shape[1:] != shape:
            raise InputError(f"images of {images.shape[1:]}, those of train are {shape} (C, H, W)", f"{where}, {split}")
    top = max(int(labels.max()) for _, labels in read)
    from mcunas.graph.to_int8 import quant_from_range

    scale, zero_point = quant_from_range(float(read[0][0].min()), float(read[0][0].max()))
    train, validation, test = (Split(_to_int8(i, scale, zero_point), labels) for i, labels in read)
    batch = min(Schedule.batch, len(train))
    return Task("own", top + 1, train, validation, test, scale, zero_point, schedule=Schedule(batch=batch, rate=0.05))


def _read(loader: Iterable, where: str) -> tuple[np.ndarray, np.ndarray]:
    """All of a loader: images float32 (N, C, H, W), labels int64 (N,)."""
    fix = "each batch is (images float (N, C, H, W), labels integer (N,))"
    if isinstance(loader, (str, bytes)) or not hasattr(loader, "__iter__"):
        raise InputError(f"not iterable but {type(loader).__name__}", where=where, fix=fix)
    images, labels = [], []
    for batch in _own(loader, where):
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise InputError(f"a batch is not a pair but {type(batch).__name__}", where=where, fix=fix)
        x, y = (_array(part, where) for part in batch)
        if x.ndim != 4 or y.shape != x.shape[:1] or y.dtype.kind not in "iu" or x.dtype.kind != "f":
            raise InputError(f"a batch has images {x.dtype} {x.shape} and labels {y.dtype} {y.shape}", where=where, fix=fix)
        if images and x.shape[1:] != images[0].shape[1:]:
            raise InputError(f"images of {x.shape[1:]} after {images[0].shape[1:]} (C, H, W)", where=where, fix=fix)
        images.append(x.astype(np.float32))
        labels.append(y.astype(np.int64))
    if not any(map(len, labels)):
        raise InputError("it is empty", where=where, fix=fix)
    x, y = np.concatenate(images), np.concatenate(labels)
    if not np.isfinite(x).all() or y.min() < 0:
        raise InputError("images that are not finite, or negative labels", where=where)
    return x, y


def _own(loader: Iterable, where: str) -> Iterator[Any]:
    """Its batches; what its own code raises is told."""
    try:
        yield from loader
    except Exception as error:
        raise InputError(f"{type(error).__name__}: {error}", where=where) from error


def _array(part: Any, where: str) -> np.ndarray:
    try:
        return np.asarray(part.detach().cpu() if hasattr(part, "detach") else part)
    except (TypeError, ValueError) as error:        # lists of different lengths, numbers that numpy has not
        raise InputError(f"a batch cannot be read ({error})", where=where, fix="give float32 and integers") from None


def _demand_sound(task: Task, where: str) -> None:
    """Raise InputError for a Task that would end in the middle of a search, or at its end."""
    if not (math.isfinite(task.input_scale) and task.input_scale > 0 and -128 <= task.input_zero_point <= 127):
        raise InputError(f"scale {task.input_scale}, zero point {task.input_zero_point}: not those of int8", where=where)
    for name in SPLITS:
        split, place = getattr(task, name), f"{where}, {name}"
        images, labels = split.images, split.labels
        if not len(labels):
            raise InputError("it is empty", where=place)
        if images.dtype != np.int8 or images.ndim != 4 or images.shape[1:] != task.input_shape or len(images) != len(labels):
            raise InputError(f"images {images.dtype} {images.shape} with {len(labels)} labels", where=place,
                             fix=f"give int8 (N, H, W, C), as many as labels, each {task.input_shape}")
        if isinstance(task.objective, Classification) and (labels.dtype != np.int64 or labels.ndim != 1 or not (
                0 <= labels.min() and labels.max() < task.classes)):
            raise InputError(f"labels {labels.dtype} {labels.shape} from {labels.min()} to {labels.max()}", where=place,
                             fix=f"give int64 (N,), from 0 to {task.classes - 1}")


def _to_int8(images: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    q = np.clip(np.rint(images / np.float32(scale)) + zero_point, -128, 127).astype(np.int8)
    return np.ascontiguousarray(q.transpose(0, 2, 3, 1))
