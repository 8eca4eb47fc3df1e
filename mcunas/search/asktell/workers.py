# SPDX-License-Identifier: Apache-2.0
"""Where networks are evaluated: here, in processes of this machine, or on any Executor (dask.distributed's, for one).

A worker that dies costs the job that it had, which is run again elsewhere; the others go on. So every process is a pool
of its own: a pool of several would break as a whole. Results come as they are done; who reads them puts them in order.
The evaluator and its data go to a process once, and to an executor's workers once where it has `held(evaluator)`.
"""
from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any

from mcunas.errors import InputError
from mcunas.search.asktell.fidelity import Evaluator, Fidelity, Figures
from mcunas.search.asktell.held import Held, hold
from mcunas.space import Genotype

ATTEMPTS = 3            # of a job whose workers die
OWN = "own"             # name of the evaluator that a process of this machine holds
KILLED = ("KilledWorker", "CommClosedError", "LostWorker")       # dask's words, by name: it need not be installed


@dataclass(frozen=True, eq=False)
class Job:
    """number: the trial's."""

    number: int
    genotype: Genotype
    evaluator: Evaluator
    fidelity: Fidelity
    seed: int


@dataclass(frozen=True)
class Outcome:
    """figures: None where every attempt's worker died. lost: attempts that finished not at all; lost_seconds: wall clock
    of these, at most what they spent."""

    number: int
    figures: Figures | None
    lost: int = 0
    lost_seconds: float = 0.0


def work(job: Job) -> Figures:
    return job.evaluator(job.genotype, job.fidelity, job.seed)


class Workers(AbstractContextManager):
    """jobs: processes to start; 1 = in this process. executor: somebody else's, used instead and left open."""

    def __init__(self, jobs: int = 1, executor: Executor | None = None) -> None:
        if jobs < 1:
            raise InputError(f"cannot work with {jobs} processes", fix="--jobs is a number from 1 on")
        self.executor, self.jobs = executor, jobs
        self._slots: list[_Process] = []

    def __exit__(self, *unused: object) -> None:
        for slot in self._slots:
            slot.renew()
        self._slots = []

    def results(self, jobs: Sequence[Job], begun: Callable[[int], None] = lambda number: None) -> Iterator[Outcome]:
        """As they are done. begun: called with a job's number for each attempt at it. Raises what an evaluator raises."""
        if self.executor is not None:
            return _spread(jobs, [_Remote(self.executor) for _ in jobs], begun)
        if self.jobs == 1:
            return _here(jobs, begun)
        while len(self._slots) < min(self.jobs, len(jobs)):
            self._slots.append(_Process())
        return _spread(jobs, self._slots, begun)


class _Remote:
    """A place for one job on an executor that distributes by itself."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    def submit(self, function: Callable, job: Job) -> Future:
        if hasattr(self.executor, "held"):
            job = replace(job, evaluator=self.executor.held(job.evaluator))
        return self.executor.submit(function, job)

    def renew(self) -> None:
        """Nothing to do: the executor finds another worker."""

    def unheard(self, future: Future) -> tuple[int, float]:
        """Attempts that died and were run again without a word, and their seconds, where the executor knows."""
        return self.executor.unheard(future) if hasattr(self.executor, "unheard") else (0, 0.0)


def _begin(evaluator: Evaluator) -> None:
    """Of a process. A worker whose driver was killed would wait for its next job for ever: it ends with it."""
    hold(OWN, evaluator)
    parent = parent_process()

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()


class _Process:
    """A process that takes one job at a time; it is started with the evaluator of the first one."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._evaluator: Evaluator | None = None

    def submit(self, function: Callable, job: Job) -> Future:
        if self._pool is None or self._evaluator is not job.evaluator:
            self.renew()
            self._pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_begin, initargs=(job.evaluator,))
            self._evaluator = job.evaluator
        return self._pool.submit(function, replace(job, evaluator=Held(OWN)))

    def unheard(self, future: Future) -> tuple[int, float]:
        return 0, 0.0

    def renew(self) -> None:
        """The next job starts another one."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = None


@dataclass
class _Attempt:
    job: Job
    slot: Any
    begun: float


def _here(jobs: Sequence[Job], begun: Callable[[int], None]) -> Iterator[Outcome]:
    for job in jobs:
        begun(job.number)
        yield Outcome(job.number, work(job))


def _spread(jobs: Sequence[Job], slots: Sequence[Any], begun: Callable[[int], None]) -> Iterator[Outcome]:
    """Each slot one job at a time; a job whose worker dies comes first again."""
    waiting, free = list(jobs), list(slots)
    lost: dict[int, tuple[int, float]] = {}
    deaths: dict[int, int] = {}
    running: dict[Future, _Attempt] = {}
    try:
        while waiting or running:
            while waiting and free:
                job, slot = waiting.pop(0), free.pop(0)
                begun(job.number)
                running[_submitted(slot, job)] = _Attempt(job, slot, time.monotonic())
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                attempt = running.pop(future)
                number, slot = attempt.job.number, attempt.slot
                count, seconds = lost.get(number, (0, 0.0))
                free.append(slot)
                error = future.exception()
                more, longer = slot.unheard(future)
                if error is None:
                    yield Outcome(number, future.result(), count + more, seconds + longer)
                elif not _is_death(error):
                    raise error
                else:
                    slot.renew()
                    lost[number] = count + more + 1, seconds + time.monotonic() - attempt.begun
                    deaths[number] = deaths.get(number, 0) + 1
                    if deaths[number] < ATTEMPTS:
                        waiting.insert(0, attempt.job)
                    else:
                        yield Outcome(number, None, *lost[number])
    finally:
        for future in running:
            future.cancel()


def _submitted(slot: Any, job: Job) -> Future:
    try:
        return slot.submit(work, job)
    except BrokenExecutor:          # its worker died between two jobs: nothing is lost
        slot.renew()
        try:
            return slot.submit(work, job)
        except BrokenExecutor as error:
            raise InputError(f"the executor has no workers left ({error})",
                             fix="give it workers and start again: the study goes on") from None


def _is_death(error: BaseException) -> bool:
    return isinstance(error, BrokenExecutor) or type(error).__name__ in KILLED
