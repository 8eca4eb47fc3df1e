# SPDX-License-Identifier: Apache-2.0
"""The road of a search in a space: drop what can never fit, let the method choose, train that from scratch, measure once.

Every method's network is trained by the same recipe: all training images, Schedule.finetune_epochs, first weights of the
seed. What the supernet learned is not used, so that tables compare networks and not how long a supernet was trained. A
method whose networks inherit says what they begin from (NasRun.begun).
"""
from __future__ import annotations

import time
from collections.abc import Callable

import torch

from mcunas.errors import DoesNotFit
from mcunas.search.nas.derive import heaviest_of
from mcunas.search.nas.run import NasRun
from mcunas.search.result import Result, finish
from mcunas.search.teacher import Loss
from mcunas.space import Genotype
from mcunas.space.blocks.collapsible import collapsed
from mcunas.space.price import usage
from mcunas.tasks import Task
from mcunas.tasks.training import batches, cosine, score, steps_per_epoch, train_epoch

Choose = Callable[[NasRun], Genotype]
Teaches = Callable[[NasRun], Loss]


def run_nas(run: NasRun, task: Task, choose: Choose, resume: bool, narrows: bool = False,
            teaches: Teaches | None = None) -> Result:
    """task: with its test split. choose: the method's. Raises DoesNotFit before any training when nothing can fit.

    narrows: the method may go below the space's widths; then all options count as feasible.
    teaches: gives the loss of the chosen network's training instead of cross entropy.
    """
    started = time.process_time()
    resumed = resume and run.load()
    if not resumed:
        run.feasible = {s.name: s.options for s in run.space.slots} if narrows else run.prices.feasible(run.budget)
        run.ledger.charge("setup", time.process_time() - started)
    if run.chosen is None:
        _choose(run, choose)
    _train(run, teaches)
    return _measure(run, task)


def _choose(run: NasRun, choose: Choose) -> None:
    started, already = time.process_time(), sum(run.ledger.cpu_seconds.values())
    genotype = choose(run)
    cost = run.prices.exact(genotype)
    if max(usage(cost, run.budget).values()) > 1:
        raise DoesNotFit("what the method found exceeds the budget", where=run.method, fix="this is a fault of the method")
    run.facts["exact_prices"] = run.prices.calls
    booked = sum(run.ledger.cpu_seconds.values()) - already
    run.ledger.charge("choose", max(time.process_time() - started - booked, 0.0))
    torch.manual_seed(run.seed)
    run.choose(genotype, run.begun or genotype.build_dense())
    run.save()


def _train(run: NasRun, teaches: Teaches | None) -> None:
    steps, total = steps_per_epoch(run.task, run.schedule), run.train_epochs
    loss_of = teaches(run) if teaches and run.epoch - run.chosen_at < total else None
    while (done := run.epoch - run.chosen_at) < total:
        started = time.process_time()
        loss = train_epoch(run.net, run.optimizer, batches(run.task, run.schedule, run.seed, run.search_epochs + done),
                           lambda step, done=done: cosine((done + step / steps) / total, run.schedule.rate), loss_of,
                           run.task.objective)
        run.end_epoch("train", started, {"loss": loss, "validation": score(run.net, run.task, run.task.validation)},
                      steps * run.schedule.batch)


def _measure(run: NasRun, task: Task) -> Result:
    """Price the deployed graph, check it against the budget, and read the test split once."""
    genotype, run.net = run.genotype(), collapsed(run.net).to(memory_format=torch.contiguous_format)
    # the slowest option in every slot stands for the start in reports
    start = heaviest_of(run, {s.name: s.options for s in run.space.slots})
    cost, heaviest = run.prices.exact(genotype), run.prices.exact(start)
    dense = {"ram_bytes": heaviest.ram_bytes, "flash_bytes": heaviest.flash_bytes, "latency_us": heaviest.latency_us}
    return finish(run, task, cost, heaviest, dense=dense, choices=genotype.choices,
                  feasible={slot: list(options) for slot, options in run.feasible.items()})
