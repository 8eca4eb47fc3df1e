# SPDX-License-Identifier: Apache-2.0
"""The library of trained candidates: one file per cell, so that what is interrupted goes on, and other budgets share it."""
from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mcunas.atomic import write_file
from mcunas.search.lana.distil import Job, distil
from mcunas.search.lana.run import LanaRun
from mcunas.space.genotype import weights_digest

FOLDER = "candidates"


def trained(run: LanaRun, executor: Executor | None) -> list[dict[str, Any]]:
    """What `distil` gave for each cell. Cells whose file is there cost nothing; the others are jobs for `executor`, or run
    here one after the other."""
    folder = Path(run.settings["library"] or run.out / FOLDER)
    stamp, found = _stamp(run), {}
    paths = [folder / f"{cell.name}.pt" for cell in run.cells]
    for at, path in enumerate(paths):
        kept = _load(path, stamp)
        if kept is not None:
            found[at] = kept
    missing = [at for at in range(len(run.cells)) if at not in found]
    for at, result in _results(executor, distil, [(at, _job(run, at)) for at in missing]):
        buffer = io.BytesIO()
        torch.save({"stamp": stamp, "result": result}, buffer)
        write_file(paths[at], buffer.getvalue())
        found[at] = result
        run.progress("candidates", len(found), len(run.cells), {})
    return [found[at] for at in range(len(run.cells))]


def _job(run: LanaRun, at: int) -> Job:
    settings = run.settings
    return Job(tuple(run.cells), at, run.pools[at][1:], replace(run.task, validation=run.task.validation[:0]), run.schedule,
               run.seed, settings["epochs"], settings["rate"], settings["score_images"])


def _results(executor: Executor | None, work: Callable[[Job], dict], jobs: list[tuple[int, Job]]) -> Iterator[
        tuple[int, dict[str, Any]]]:
    """(cell, result) as they are done."""
    if executor is None:
        yield from ((at, work(job)) for at, job in jobs)
        return
    futures = {executor.submit(work, job): at for at, job in jobs}
    for future in as_completed(futures):
        yield futures[future], future.result()


def _stamp(run: LanaRun) -> str:
    """What must be equal for a candidate to be this run's: all but the board and the budget."""
    keys = ("epochs", "rate", "score_images")
    said = [run.task.digest(), weights_digest(run.dense), run.seed, run.schedule.batch, run.schedule.epoch_samples,
            [run.settings[k] for k in keys], [[c.name for c in pool] for pool in run.pools], torch.__version__]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _load(path: Path, stamp: str) -> dict[str, Any] | None:
    try:
        kept = torch.load(path, weights_only=True)
        return kept["result"] if kept["stamp"] == stamp else None
    except Exception:       # none, or not one of ours: it is made again
        return None
