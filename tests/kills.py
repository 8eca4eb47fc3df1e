# SPDX-License-Identifier: Apache-2.0
"""Jobs in processes that are killed with SIGKILL, at a moment or at a write, and begun again until they come to an end."""
from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from random import Random

FORK = multiprocessing.get_context("forkserver")        # its server imports once what all the processes need
FORK.set_forkserver_preload(["mcunas.search.driver", "mcunas.search.diffprune", "mcunas.search.smcp", "torch._dynamo",
                             "mcunas.quantize.driver", "mcunas.device.tune", "mcunas.device.calibrate", "scipy.optimize"])
KILLS = int(os.environ.get("MCUNAS_KILLS", "0"))        # of each job, for the long run; 0: a few


def run(job: Callable[[Path], None], out: Path, at_write: int = 0, after_s: float | None = None) -> int | None:
    """The exit status of `job`. at_write: it dies between the content and the name of that file; after_s: then; 0, None:
    never."""
    process = FORK.Process(target=_dying, args=(job, out, at_write))
    process.start()
    process.join(after_s)
    process.kill()
    process.join()
    return process.exitcode


def until_it_ends(job: Callable[[Path], None], out: Path, kills: int, took_s: float, seed: int = 0) -> int:
    """Kills the job so many times, every second time in the middle of a write, then lets it end. The number of kills, fewer
    where it came to its end before.

    took_s: what it takes uninterrupted.
    """
    random, killed = Random(seed), 0
    while killed < kills:
        at_write = 0 if killed % 2 else random.randint(1, 2)
        status = run(job, out, at_write, None if at_write else took_s * random.uniform(0.02, 0.5))
        if status == 0:
            break
        assert status == -signal.SIGKILL, status
        killed += 1
    assert run(job, out) == 0
    return killed


def endings(job: Callable[[Path], None], prepare: Callable[[Path], None], folder: Path, kills: int, took_s: float
            ) -> Iterator[Path]:
    """Folders, each prepared, in which `job` was killed and came to its end. One with at most `kills`; where MCUNAS_KILLS
    asks for them, as many as it takes to kill it so often."""
    killed = 0
    for number in count():
        prepare(folder / f"killed{number}")
        died = until_it_ends(job, folder / f"killed{number}", kills - killed, took_s, number)
        assert died
        yield folder / f"killed{number}"
        killed += died
        if killed >= kills or not KILLS:
            return


def _dying(job: Callable[[Path], None], out: Path, at_write: int) -> None:
    writes, sync = 0, os.fsync

    def fsync(handle: int) -> None:
        nonlocal writes
        sync(handle)
        writes += 1
        if writes == at_write:
            os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = fsync
    job(out)
