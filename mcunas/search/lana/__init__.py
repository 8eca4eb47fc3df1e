# SPDX-License-Identifier: Apache-2.0
"""LANA: accelerate a trained network by exchanging its cells (Molchanov et al., arXiv 2107.10624).

    run.py         LanaRun: the teacher cut into cells, the checkpoint
    candidates.py  what may stand in a cell; library.py: trained once per cell, kept, on any executor
    distil.py      a cell's candidates learn what the teacher's gives; score.py: what each costs in loss
    prices.py      exact tables; program.py: the integer program; choose.py: with the compiler's last word
    baselines.py   choices by lot, by greed and by shuffled scores, for tables
    assemble.py    scores, half-way rounds, several solutions; driver.py: the road to a finished folder
"""
from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcunas.board import Board
    from mcunas.budget import Budget
    from mcunas.search.result import Result
    from mcunas.search.state import Progress
    from mcunas.tasks import Schedule, Task

# blocks: names of the candidates, None = all that there are. narrow: narrower ones too. epochs, rate: of each candidate's
# training. score_images: for the scores; judged_images: for the choice between solutions. overlap: most cells, as a share,
# that two solutions of a round have in common. rounds: 1 = straight to the budget. finetune_share: of the schedule's rate.
# choice: "program", or what stands beside it in tables: "lot", "greed", "placebo" (a program with shuffled scores).
# library: a folder for the trained candidates, which searches for other budgets and boards then find.
SETTINGS = {"blocks": None, "narrow": True, "epochs": 2, "rate": 0.003, "score_images": 768, "judged_images": 2048,
            "solutions": 8, "overlap": 0.7, "rounds": 2, "finetune_share": 0.3, "choice": "program", "library": ""}
CHOICES = ("program", "lot", "greed", "placebo")


def accelerated(task: Task, board: Board, budget: Budget, out: Path, seed: int, smoke: bool, resume: bool,
                progress: Progress | None, start: str | None, options: dict | None, schedule: Schedule | None,
                settings: dict[str, Any], executor: Executor | None = None) -> Result:
    """See `mcunas.search` and `mcunas.accelerate`; start: the teacher, a net or a space."""
    from mcunas.errors import InputError
    from mcunas.search.driver import begun, finished
    from mcunas.search.lana.driver import run_lana
    from mcunas.search.lana.run import LanaRun
    from mcunas.search.lana.start import teacher_of
    from mcunas.tasks import ddp

    if settings["choice"] not in CHOICES:
        raise InputError(f"lana has no choice {settings['choice']!r}", fix=f"use one of {', '.join(CHOICES)}")
    blocks = settings["blocks"]
    if blocks is not None and not (isinstance(blocks, list) and all(isinstance(name, str) for name in blocks)):
        raise InputError(f"lana has no blocks {blocks!r}", fix="give a list of names")
    if ddp.count() > 1:
        raise InputError("lana runs in one process", where="torchrun", fix="give it an executor, or --jobs")
    genotype, is_trained = teacher_of(task, board, start, options)
    schedule = schedule or (task.schedule.smoke() if smoke else task.schedule)
    if not (is_trained or schedule.teacher_epochs):
        schedule = replace(schedule, teacher_epochs=schedule.float_epochs)
    run = LanaRun(task.sealed(), board, budget, genotype, schedule, seed, out, progress, settings)
    found = finished(run, resume)
    if found:
        return found
    with begun(run, resume):
        return run_lana(run, task, resume, executor)
