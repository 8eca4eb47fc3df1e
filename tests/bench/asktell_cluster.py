# SPDX-License-Identifier: Apache-2.0
"""One search on other machines: in this process, on two processes, on dask workers, one of which is killed. The same front,
and trials per second with one worker and with two. Networks are trained, so that a trial is what a trial is.
"""
from __future__ import annotations

import os
import pickle
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from pathlib import Path
from statistics import mean
from typing import Any

import optuna

from mcunas.board import Board
from mcunas.device.alone import simulated
from mcunas.search.asktell.cluster import connected
from mcunas.search.asktell.engine import Search, front, spent
from mcunas.search.asktell.evaluate import ByTraining
from mcunas.search.asktell.fidelity import Fidelity
from mcunas.search.asktell.problem import Problem
from mcunas.search.asktell.storage import opened
from mcunas.search.asktell.workers import Workers
from mcunas.space.price import Prices
from mcunas.tasks import Schedule
from tests.bench import asktell_table as table
from tests.bench import nas_contest as contest
from tests.bench.asktell_picture import clouds
from tests.bench.kept import ROW, left, row_of
from tests.bench.measure import markdown
from tests.bench.nas_report import say

ARMS = ("in process", "2 processes", "1 dask worker", "2 dask workers", "2 dask workers, one killed")
DASK = {"1 dask worker": 1, "2 dask workers": 2, "2 dask workers, one killed": 2}
EVALUATIONS, GENERATION = 16, 4
SCHEDULE = Schedule(prune_epochs=0, finetune_epochs=2, batch=64, rate=0.05, epoch_samples=6_016)
FIDELITY = Fidelity("scratch", epochs=2)
DIRECTIONS = ("maximize", "minimize")
KILLED_AFTER = 5           # networks: the others of their generation are being trained
SPEEDUP = 1.7


def measure(folder: Path, seeds: list[int], quick: bool, stop: Callable[..., None]) -> dict[str, Any]:
    rows = [_row(folder, arm, seed, quick, stop) for seed in seeds for arm in ARMS]
    return {"rows": [r for r in rows if r]}


def kept(folder: Path, seeds: list[int]) -> dict[str, Any]:
    """Rows of the arms that are done."""
    return {"rows": [row for seed in seeds for arm in ARMS for row in left(_folder(folder, arm, seed), _asked(), ROW)]}


def _folder(folder: Path, arm: str, seed: int) -> Path:
    return folder / f"{arm.replace(',', '').replace(' ', '-')}-{seed}"


def _asked(evaluations: int = EVALUATIONS) -> dict[str, Any]:
    return {"evaluations": evaluations, "generation": GENERATION, "schedule": vars(SCHEDULE)}


def _row(folder: Path, arm: str, seed: int, quick: bool, stop: Callable[..., None]) -> dict[str, Any] | None:
    out, evaluations = _folder(folder, arm, seed), 8 if quick else EVALUATIONS
    return row_of(out, _asked(evaluations), partial(_searched, out, arm, seed, evaluations, stop), arm=arm, seed=seed)


@cache
def _problem() -> Problem:
    """All its networks are priced before a clock runs: that is the driver's work, and the same in all arms."""
    space = table.factored()
    prices = Prices(space.space, Board.load(contest.M4), contest.RAM_BYTES, simulated)

    def price(genotype: Any) -> dict[str, float]:
        cost = prices.exact(genotype)
        return {"cycles": cost.cycles, "ram_bytes": cost.ram_bytes, "flash_bytes": cost.flash_bytes}

    for point in space.genes.points():
        price(space.genotype(point))
    return Problem(space.genes, space.genotype, price, lambda f: (f["accuracy"], f["cycles"]), DIRECTIONS)


def _searched(out: Path, arm: str, seed: int, evaluations: int, stop: Callable[..., None]) -> dict[str, Any]:
    shutil.rmtree(out / "study", ignore_errors=True)         # throughput is that of a whole search
    problem = _problem()
    load_before, done, job_bytes = os.getloadavg()[0], [], []
    with _cluster(arm, job_bytes) as (executor, kill):
        def progress(count: int, of: int, figures: dict[str, Any]) -> None:
            stop()
            done.append(time.monotonic())
            if len(done) == KILLED_AFTER and arm.endswith("killed"):
                kill()

        def sampler_of(own: int) -> optuna.samplers.BaseSampler:
            return optuna.samplers.NSGAIISampler(population_size=GENERATION, seed=own)

        with opened(out / "study", f"cluster-{seed}", DIRECTIONS) as study, \
                Workers(2 if arm == "2 processes" else 1, executor) as workers:
            search = Search(study, problem, sampler_of, ByTraining(table.task(), SCHEDULE), FIDELITY, seed, GENERATION,
                            workers, progress)
            started, cpu = time.monotonic(), time.process_time()
            nets = search.run(evaluations)
            wall, driver = time.monotonic() - started, time.process_time() - cpu
            cost = spent(study)
            trials = [[t.number, t.params, t.values] for t in study.trials]
    # the first generation starts the workers and loads their libraries
    rate = (len(done) - GENERATION) / (done[-1] - done[GENERATION - 1])
    return {"front": [[n.genotype.key, n.figures["accuracy"], n.figures["cycles"]] for n in front(nets)], "trials": trials,
            "networks": [[n.figures["cycles"], n.figures["accuracy"]] for n in nets], "wall_seconds": wall,
            "driver_cpu_seconds": driver, "trials_per_second": rate, "evaluations": cost.evaluations,
            "job_bytes": max(job_bytes, default=0), "samples": cost.samples, "cpu_seconds": cost.cpu_seconds,
            "lost": cost.lost, "lost_seconds": cost.lost_seconds, "load": [load_before, os.getloadavg()[0]]}


@contextmanager
def _environment_restored() -> Iterator[None]:
    """dask leaves settings of its workers in the driver's environment, from which the next arm's processes would have them:
    with one of them (MALLOC_TRIM_THRESHOLD_) a training takes half as long again."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _cluster(arm: str, job_bytes: list[int]) -> Iterator[tuple[Executor | None, Callable[[], None]]]:
    """(an executor on so many local dask workers, what kills one that has a job). job_bytes: gets what each job weighs."""
    if arm not in DASK:
        with nullcontext():
            yield None, lambda: None
        return
    from distributed import Client, LocalCluster

    settings = {"threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
    with _environment_restored(), LocalCluster(n_workers=DASK[arm], **settings) as cluster, Client(cluster) as client, \
            connected(cluster.scheduler_address) as executor:
        submit = executor.submit

        def weighed(function: Callable, *args: Any) -> Any:
            job_bytes.append(len(pickle.dumps(args)))
            return submit(function, *args)

        def kill() -> None:
            pids, busy = client.run(os.getpid), [w for w, jobs in client.processing().items() if jobs]
            os.kill(pids[(busy or list(pids))[0]], signal.SIGKILL)

        executor.submit = weighed
        yield executor, kill


def report(found: dict[str, Any]) -> tuple[str, dict[str, str]]:
    rows = found["rows"]
    by = {arm: sorted((r for r in rows if r["arm"] == arm), key=lambda r: r["seed"]) for arm in ARMS}
    lines = [[arm, f"{mean(r['wall_seconds'] for r in own):.0f}", f"{mean(r['trials_per_second'] for r in own):.3f}",
              own[0]["evaluations"], sum(r["lost"] for r in own), f"{sum(r['lost_seconds'] for r in own):.1f}",
              own[0]["samples"], f"{mean(r['cpu_seconds'] for r in own):.0f}", f"{own[0]['job_bytes']:,}",
              " ".join(f"{r['load'][0]:.1f}-{r['load'][1]:.1f}" for r in own)] for arm, own in by.items() if own]
    text = ["# One search on many machines\n",
            f"NSGA-II on accuracy and cycles over the space of asktell-table.json, {rows[0]['evaluations']} networks "
            f"trained on {SCHEDULE.epoch_samples * FIDELITY.epochs:,} images each, generations of {GENERATION}; seeds "
            f"{', '.join(str(r['seed']) for r in by['in process'])}. Trials per second: from the second generation on. Two "
            "cores; load: of the machine, a minute's mean before and after.\n",
            markdown(["arm", "wall s", "trials / s", "networks", "lost attempts", "lost s", "samples", "CPU s of trials",
                      "bytes of a job", "load"], lines),
            "## Expectations\n", "\n".join(_expected(by)) + "\n", "![fronts](asktell-cluster.svg)\n"]
    points = {"networks": _columns(by["in process"][0]["networks"]),
              "front, in process": _columns([[c, a] for _, a, c in by["in process"][0]["front"]])}
    return "\n".join(text), {"asktell-cluster.svg": clouds(points, "cycles", "validation accuracy")}


def _columns(points: list[list[float]]) -> tuple[list[float], list[float]]:
    return [p[0] for p in points], [p[1] for p in points]


def _expected(by: dict[str, list[dict[str, Any]]]) -> list[str]:
    lines = []
    for arm in (a for a in ARMS[1:] if by[a]):
        pairs = [(a, b) for a in by["in process"] for b in by[arm] if a["seed"] == b["seed"]]
        same = sum(a["front"] == b["front"] and a["trials"] == b["trials"] for a, b in pairs)
        lines.append(say(f"{arm}: front and all trials are those of the search in process ({same} of {len(pairs)} seeds)",
                         same == len(pairs) > 0))
    for one, more, words in (("1 dask worker", "2 dask workers", "two dask workers give"),
                             ("in process", "2 processes", "two processes give")):
        pairs = [(a, b) for a in by[one] for b in by[more] if a["seed"] == b["seed"]]
        ratios = [b["trials_per_second"] / a["trials_per_second"] for a, b in pairs]
        if ratios:
            load = max(max(r["load"]) for pair in pairs for r in pair)
            lines.append(say(f"{words} {mean(ratios):.2f} times the trials per second of one (per seed "
                             f"{' '.join(f'{r:.2f}' for r in ratios)}; at least {SPEEDUP}; load up to {load:.1f})",
                             mean(ratios) >= SPEEDUP))
    if killed := by[ARMS[-1]]:
        lost = [r["lost"] for r in killed]
        lines.append(say(f"the worker that was killed had a job, which was run again ({' '.join(map(str, lost))} lost "
                         "attempts by seed)", min(lost) > 0))
    return lines
