# SPDX-License-Identifier: Apache-2.0
"""Where a search that asks and tells works: processes here or somebody's executor, and where its study is kept."""
from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass


@dataclass(frozen=True)
class Machines:
    """jobs: processes here. executor: used instead. storage: URL of an Optuna storage; None = a file in the run's folder.
    None of it changes what is found."""

    jobs: int = 1
    executor: Executor | None = None
    storage: str | None = None


HERE = Machines()
