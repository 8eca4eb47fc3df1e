# SPDX-License-Identifier: Apache-2.0
"""An evaluator on its way to dask's workers: once to each, to those that come later or begin anew as well.

A plugin of the workers, since the scheduler keeps it: data that is scattered is lost with the workers that have it. While
they hold it, they keep freed memory: dask starts its workers such that it goes back to the system at once
(MALLOC_TRIM_THRESHOLD_), and training, which asks for the same at every step, takes a third more CPU time by that.
"""
from __future__ import annotations

import ctypes
from typing import Any

from distributed import WorkerPlugin

from mcunas.search.asktell.fidelity import Evaluator
from mcunas.search.asktell.held import hold, let_go

TRIM, MAP = -1, -3                              # glibc's names of the two thresholds
KEPT_BYTES = {TRIM: 256 << 20, MAP: 32 << 20}
USUAL_BYTES = {TRIM: 128 << 10, MAP: 128 << 10}


class Parcel(WorkerPlugin):
    """name: under which the workers hold it."""

    def __init__(self, name: str, evaluator: Evaluator) -> None:
        self.name, self.evaluator = name, evaluator

    def setup(self, worker: Any) -> None:
        _give_back_from(KEPT_BYTES)
        hold(self.name, self.evaluator)

    def teardown(self, worker: Any) -> None:
        let_go(self.name)
        _give_back_from(USUAL_BYTES)


def _give_back_from(thresholds: dict[int, int]) -> None:
    """Where the C library is another one than glibc, nothing happens."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    for name, size_bytes in thresholds.items():
        if mallopt is not None:
            mallopt(name, size_bytes)
