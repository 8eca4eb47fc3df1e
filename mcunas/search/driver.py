# SPDX-License-Identifier: Apache-2.0
"""The road that all methods share: price the dense start, let the method choose widths, train the rest, measure once."""
from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import torch

from mcunas import tasks
from mcunas.atomic import own_folder
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.cost import estimate
from mcunas.errors import DoesNotFit, InputError
from mcunas.prune.masks import LEAST_WIDTH
from mcunas.prune.resources import Usage
from mcunas.quantize import choose
from mcunas.search.asktell.storage import forget
from mcunas.search.machines import HERE, Machines
from mcunas.search.methods import METHODS, module_of
from mcunas.search.nas.driver import run_nas
from mcunas.search.nas.run import NasRun
from mcunas.search.result import Result, finish
from mcunas.search.run import Run, start_of
from mcunas.search.settings import settings_of
from mcunas.search.state import CHECKPOINT, Progress, State
from mcunas.search.teacher import distilled
from mcunas.space import space as spaces
from mcunas.tasks import Schedule, Task, ddp
from mcunas.tasks.training import batches, cosine, score, steps_per_epoch, train_epoch

THREADS = 1     # fixed: another number would sum in another order; and on nets this small a second thread only waits


def run_search(task_name: str, board: Board, budget: Budget, method: str, out: Path, seed: int, smoke: bool, resume: bool,
               progress: Progress | None, start: str | None, options: dict | None, schedule: Schedule | None,
               settings: dict | None, machines: Machines = HERE) -> Result:
    """See `mcunas.search`."""
    torch.set_num_threads(THREADS)
    task, budget = tasks.load(task_name), budget.for_board(board)
    module = module_of(method)
    if machines != HERE and not getattr(module, "PARALLEL", False):
        able = [name for name in METHODS if getattr(module_of(name), "PARALLEL", False)]
        raise InputError(f"method {method!r} has no use for further machines", where="--jobs, --cluster, --storage",
                         fix=f"leave them out, or use one of {', '.join(able)}")
    if hasattr(module, "accelerated"):
        return module.accelerated(task, board, budget, out, seed, smoke, resume, progress, start, options, schedule,
                                  settings_of(method, settings or {}))
    if hasattr(module, "choose"):
        return _run_nas(task, board, budget, method, module, out, seed, smoke, resume, progress, start, options, schedule,
                        settings, machines)
    genotype = start_of(task, start, options)
    schedule = ddp.scaled(schedule or (task.schedule.smoke() if smoke else task.schedule))
    started = time.process_time()
    run = Run(task.sealed(), board, budget, method, genotype, schedule, seed, out, progress,
              settings_of(method, settings or {}))
    found = finished(run, resume)
    if found:
        return found
    with begun(run, resume):
        dense = run.resources.exact(run.widths)
        if not (resume and run.load()):
            run.ledger.charge("setup", time.process_time() - started)
        demand_feasible(run)
        _shape(run, method)
        _train_rest(run)
        return _measure(run, task, dense)


def _run_nas(task: Task, board: Board, budget: Budget, method: str, module: ModuleType, out: Path, seed: int, smoke: bool,
             resume: bool, progress: Progress | None, start: str | None, options: dict | None, schedule: Schedule | None,
             settings: dict | None, machines: Machines) -> Result:
    """A search in a space: `start` names it, by default the one made for the task's input; options change it.

    module: with `choose`; SPACE: what the method changes in a space's description unless it is asked for something else;
    NARROWS: whether it may go below the described widths, so that nothing can be ruled out at these; PARALLEL: whether it
    has a use for machines; teaches: see run_nas.
    """
    start = start or spaces.space_for(task.input_shape, task.name, task.objective.head)
    options = {**({} if start == spaces.INLINE else getattr(module, "SPACE", {})), **(options or {})}
    space = spaces.load(start, options, task.input_shape, task.classes)
    schedule = ddp.scaled(schedule or (task.schedule.smoke() if smoke else task.schedule))
    run = NasRun(task.sealed(), board, budget, method, space, schedule, seed, out, progress,
                 settings_of(method, settings or {}))
    run.machines = machines
    if machines.storage and not resume:
        raise InputError("a study in a storage of its own is only continued", where=machines.storage,
                         fix="search with --resume, or name another storage")
    found = finished(run, resume)
    if found:
        return found
    with begun(run, resume):
        return run_nas(run, task, module.choose, resume, getattr(module, "NARROWS", False), getattr(module, "teaches", None))


def finished(run: State, resume: bool) -> Result | None:
    """What the run's folder holds, when it is this search, finished, and not to begin anew.

    Raises InputError when it is another search.
    """
    if not resume:
        return None
    try:
        fingerprint = json.loads((run.out / "metrics.json").read_text())["asked"]["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError, IndexError):      # none, or damaged: the checkpoint goes on
        return None
    if fingerprint != run.fingerprint():
        raise InputError("the folder holds a search with other settings", where=str(run.out),
                         fix="choose another out folder, or do not resume")
    return Result.load(run.out)


@contextmanager
def begun(run: State, resume: bool) -> Iterator[None]:
    """The run's folder is its own inside: known before hours of training, not after. Without `resume` what is there of a
    search is forgotten."""
    with own_folder(run.out):
        if not resume:
            for name in (CHECKPOINT, "metrics.json", choose.REPORT, choose.CHECKPOINT):
                (run.out / name).unlink(missing_ok=True)
            forget(run.out)
        yield


def demand_feasible(run: Run) -> None:
    """Raise DoesNotFit before any training when even the narrowest network exceeds a budget."""
    if run.is_projected:
        return
    least = run.resources.exact([min(LEAST_WIDTH, g.channels) for g in run.dense_channels.groups])
    budget = run.budget
    if not least.fits(budget):
        asked = f", {budget.latency_us:.0f} us" if budget.latency_us else ""
        raise DoesNotFit(f"even {LEAST_WIDTH} channels in every layer need {least.ram_bytes} bytes of RAM, "
                         f"{least.flash_bytes} bytes of flash and {least.latency_us:.0f} us; the budget is "
                         f"{budget.ram_bytes} bytes, {budget.flash_bytes} bytes{asked}", where=run.board.key,
                         fix="raise the budget or start from a smaller network")


def _shape(run: Run, method: str) -> None:
    started = time.process_time()
    already = sum(run.ledger.cpu_seconds.values())
    module_of(method).shape(run)
    if not run.resources.exact(run.widths).fits(run.budget):
        fix = "this is a fault of the method" if run.schedule.prune_epochs else "give it epochs to prune in"
        raise DoesNotFit("the widths that the method left exceed the budget", where=method, fix=fix)
    booked = sum(run.ledger.cpu_seconds.values()) - already
    run.ledger.charge("shape", max(time.process_time() - started - booked, 0.0))


def _train_rest(run: Run) -> None:
    """Train at the final widths; the learning rate goes on where the method left it."""
    steps, total = steps_per_epoch(run.task, run.schedule), run.schedule.float_epochs
    loss_of = distilled(run) if run.epoch < total else None
    while run.epoch < total:
        started, epoch = time.process_time(), run.epoch
        loss = train_epoch(run.net, run.optimizer, batches(run.task, run.schedule, run.seed, epoch),
                           lambda step, epoch=epoch: cosine((epoch + step / steps) / total, run.schedule.rate), loss_of,
                           run.task.objective)
        run.end_epoch("finetune", started, {"loss": loss, "validation": score(run.net, run.task, run.task.validation)})


def _measure(run: Run, task: Task, dense: Usage) -> Result:
    """Price the deployed graph by itself, check it against the budget, and read the test split once."""
    # the skeleton's weights are zeros, which the compiler's passes would take for dead channels
    cost = estimate(run.resources.skeleton.at(run.widths), run.board, rewrite=False, ram_bytes=run.budget.ram_bytes,
                    simulator=run.resources.simulator)
    return finish(run, task, cost, dense, dense=asdict(dense), widths=list(run.widths))
