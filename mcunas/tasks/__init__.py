# SPDX-License-Identifier: Apache-2.0
"""Tasks: a data set with fixed train, validation and test splits, as the int8 images the firmware receives, and a metric."""
from __future__ import annotations

from importlib import import_module

from mcunas.errors import InputError, did_you_mean
from mcunas.tasks.schedule import Schedule
from mcunas.tasks.task import Split, Task

# name -> module with load() -> Task, or module:function
TASKS = {"digits": "mcunas.tasks.digits", "fashion-mnist": "mcunas.tasks.fashion_mnist", "fsdd": "mcunas.tasks.fsdd",
         "har": "mcunas.tasks.har", "super-resolution": "mcunas.tasks.super_resolution",
         "detection-64": "mcunas.tasks.detection:fashion_64", "detection-96": "mcunas.tasks.detection:fashion_96",
         "detection-digits-64": "mcunas.tasks.detection:digits_64",
         "detection-digits-96": "mcunas.tasks.detection:digits_96"}

__all__ = ["TASKS", "Schedule", "Split", "Task", "load"]


def load(name: str) -> Task:
    """The task called `name`, or a user's own: module:function, or what mcunas.prune was given in this process.

    Raises InputError listing what exists.
    """
    if ":" in name:
        return import_module("mcunas.tasks.own").load_named(name)
    if "@" in name and name in (own := import_module("mcunas.tasks.own").OWN):
        return own[name]
    if name not in TASKS:
        raise InputError(f"unknown task {name!r}", fix=did_you_mean(name, sorted(TASKS)) + ", or module:function")
    module, _, function = TASKS[name].partition(":")
    return getattr(import_module(module), function or "load")()
