# SPDX-License-Identifier: Apache-2.0
"""Search: a trained network that fits a board's budget. One method per file; importing this does not import torch."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mcunas.search.methods import METHODS, module_of

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from mcunas.board import Board
    from mcunas.budget import Budget
    from mcunas.search.result import Result
    from mcunas.search.state import Progress
    from mcunas.tasks import Schedule

__all__ = ["METHODS", "search"]


def search(task: str, board: Board, budget: Budget, method: str = "diffprune", out: str | Path | None = None,
           seed: int = 0, smoke: bool = False, resume: bool = True, progress: Progress | None = None,
           start: str | None = None, options: dict | None = None, schedule: Schedule | None = None,
           settings: dict | None = None, jobs: int = 1, executor: Executor | None = None,
           storage: str | None = None) -> Result:
    """Search `task` for a network that fits `budget` on `board`, and train it (float; `mcunas.quantize` comes next).

    task, start, method: names, or module:function. out: folder for the artefacts (default runs/<task>-<method>-<board>).
    smoke: the same road with little training.
    resume: continue what `out` holds; a finished search is returned as it is. progress: called as (phase, epochs done,
    epochs in all, figures). start, options: the starting net and its arguments, or for a method that searches a space its
    name and changes of its description; schedule: the epochs; all three default to the task's own, and options without a
    start change some of the arguments there. A method that does not search a space also starts from the genotype.json that
    another search wrote: from that network with first weights. settings: the method's own, see SETTINGS in its file.
    jobs, executor, storage: for methods that ask and tell (asktell/): processes that evaluate networks, or somebody's
    executor instead, and the URL of an Optuna storage instead of a file in `out`. They do not change what is found.
    In processes that torchrun started it is one search, with so many batches at once (tasks/ddp.py).
    Raises InputError for unknown names or a checkpoint of another search, DoesNotFit when no width fits.
    """
    module_of(method)       # an unknown one ends here
    from mcunas.search.driver import run_search
    from mcunas.search.machines import Machines
    from mcunas.tasks import ddp

    folder = Path(out or f"runs/{task}-{method}-{board.key}".replace(":", "."))
    with ddp.group(folder) as own:
        return run_search(task, board, budget, method, own, seed, smoke, resume, progress, start, options, schedule,
                          settings, Machines(jobs, executor, storage))
