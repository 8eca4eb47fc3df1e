# SPDX-License-Identifier: Apache-2.0
"""Tasks: a data set with fixed train, validation and test splits, as the int8 images the firmware receives."""
from __future__ import annotations

from importlib import import_module

from mcunas.errors import InputError
from mcunas.tasks.schedule import Schedule
from mcunas.tasks.task import Split, Task

TASKS = {"digits": "mcunas.tasks.digits", "fashion-mnist": "mcunas.tasks.fashion_mnist"}    # module with load() -> Task

__all__ = ["TASKS", "Schedule", "Split", "Task", "load"]


def load(name: str) -> Task:
    """The task called `name`. Raises InputError listing what exists."""
    if name not in TASKS:
        raise InputError(f"unknown task {name!r}", fix=f"use one of {', '.join(sorted(TASKS))}")
    return import_module(TASKS[name]).load()
