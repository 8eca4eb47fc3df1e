# SPDX-License-Identifier: Apache-2.0
"""The comparison: as many networks of each block, one short recipe for all, prices on every board. Resumable, in parallel.

A network is a job: it holds what it needs and gives back its accuracy. What is done lies in the folder, one file each.
"""
from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from mcunas.atomic import write_file
from mcunas.board import Board
from mcunas.errors import InputError
from mcunas.search.blockbench.sample import described, priced, sample
from mcunas.search.blockbench.verdict import FILE, verdict
from mcunas.search.nas.run import sgd
from mcunas.search.state import MOST_SEED
from mcunas.space import Genotype
from mcunas.tasks import Schedule, Task
from mcunas.tasks.training import score, train_shortly

FIGURES = ("ram_bytes", "flash_bytes", "cycles", "macs")
Progress = Callable[[str, int, int, dict[str, Any]], None]


@dataclass(frozen=True, eq=False)
class Training:
    """A network to train for Schedule.finetune_epochs. task: without its test split."""

    genotype: Genotype
    task: Task
    schedule: Schedule
    seed: int


def compare(task: Task, boards: Sequence[Board], blocks: Sequence[str], out: Path, nets: int, cycles: tuple[float, float],
            schedule: Schedule, seed: int = 0, space: str | None = None, executor: Executor | None = None,
            progress: Progress | None = None) -> dict[str, Any]:
    """The verdict (verdict.py), which `out` holds too, with "rows": one per network.

    cycles: the range on the first board. space: whose proportions are drawn around, by default the one for such inputs.
    Raises InputError for unknown blocks, or a range in which one has no networks.
    """
    if not 0 < cycles[0] <= cycles[1]:
        raise InputError(f"no range from {cycles[0]:,} to {cycles[1]:,} cycles", where="cycles", fix="give the least first")
    if not (nets > 0 and blocks and boards and 0 <= seed <= MOST_SEED):
        raise InputError("nothing to compare, or a seed that is none", where="blocks",
                         fix=f"give blocks, boards, nets, and a seed from 0 to {MOST_SEED}")
    sealed, show = task.sealed(), progress or (lambda *unused: None)
    known = [repr(replace(b, path=Path())) if b.is_own else b.key for b in boards]
    asked = [sealed.digest(), known, nets, cycles, asdict(schedule), seed, space, torch.__version__]
    stamp = sha256(json.dumps(asked).encode()).hexdigest()
    rows = {block: _drawn(block, out, stamp, lambda block=block: sample(
        block, nets, cycles, described(task.input_shape, space), task.input_shape, task.classes, boards[0], seed), boards)
        for block in blocks}
    files = {(b, i): out / f"{b}-{i:03d}.json" for b in blocks for i in range(nets)}
    missing = [key for key, path in files.items() if _kept(path, stamp) is None]
    jobs = [(key, Training(Genotype.of_fields(rows[key[0]][key[1]]["genotype"]), sealed, schedule, seed)) for key in missing]
    for done, (key, trained) in enumerate(_results(executor, jobs), len(files) - len(missing) + 1):
        write_file(files[key], json.dumps({"stamp": stamp, **rows[key[0]][key[1]], **trained}, indent=1) + "\n")
        show("blocks", done, len(files), {"validation": trained["accuracy"]})
    found = [_kept(path, stamp) for path in files.values()]
    said = {**verdict(found, seed), "task": task.name, "schedule": asdict(schedule), "cycles": list(cycles),
            "samples": sum(r["samples"] for r in found), "cpu_seconds": sum(r["cpu_seconds"] for r in found)}
    write_file(out / FILE, json.dumps(said, indent=1) + "\n")
    return {**said, "rows": found}


def train(job: Training) -> dict[str, Any]:
    """{"accuracy" on validation, "samples", "cpu_seconds"}."""
    torch.set_num_threads(1)
    torch.manual_seed(job.seed)
    started, net, schedule = time.process_time(), job.genotype.build_dense(), job.schedule
    samples = train_shortly(net, sgd(list(net.parameters()), schedule), job.task, schedule, job.seed,
                            schedule.finetune_epochs)
    return {"accuracy": score(net, job.task, job.task.validation), "samples": samples,
            "cpu_seconds": time.process_time() - started}


def _drawn(block: str, out: Path, stamp: str, draw: Callable[[], list], boards: Sequence[Board]) -> list[dict[str, Any]]:
    """The block's networks with their prices on all boards; drawn once."""
    path = out / f"{block}.json"
    kept = _kept(path, stamp)
    if kept is None:
        rows = []
        for genotype, cost in draw():
            costs = {boards[0].key: cost, **{b.key: priced(genotype, b) for b in boards[1:]}}
            rows.append({"block": block, "genotype": genotype.fields(),
                         "costs": {key: {f: getattr(c, f) for f in FIGURES} for key, c in costs.items()}})
        kept = {"stamp": stamp, "networks": rows}
        write_file(path, json.dumps(kept, indent=1) + "\n")
    return kept["networks"]


def _kept(path: Path, stamp: str) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if found.get("stamp") == stamp else None


def _results(executor: Executor | None, jobs: Sequence[tuple[tuple[str, int], Training]]) -> Iterator[
        tuple[tuple[str, int], dict[str, Any]]]:
    """(network, what `train` gave) as they are done."""
    if executor is None:
        yield from ((key, train(job)) for key, job in jobs)
        return
    futures = {executor.submit(train, replace(job)): key for key, job in jobs}
    for future in as_completed(futures):
        yield futures[future], future.result()
