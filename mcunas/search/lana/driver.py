# SPDX-License-Identifier: Apache-2.0
"""The road of an acceleration: teacher, candidates, choice, fine-tuning under the teacher's eyes, one measurement."""
from __future__ import annotations

import copy
import math
import time
from concurrent.futures import Executor
from dataclasses import asdict

import numpy as np

from mcunas.cost import estimate
from mcunas.errors import DoesNotFit
from mcunas.search.lana import library
from mcunas.search.lana.assemble import Assembler
from mcunas.search.lana.choose import Chooser
from mcunas.search.lana.run import LanaRun
from mcunas.search.result import Result, finish
from mcunas.search.teacher import taught_by, trained
from mcunas.space.blocks.collapsible import collapsed
from mcunas.space.price import graph_of, usage
from mcunas.tasks import Task
from mcunas.tasks.training import batches, cosine, recalibrate, score, steps_per_epoch, train_epoch


def run_lana(run: LanaRun, task: Task, resume: bool, executor: Executor | None) -> Result:
    """task: with its test split. Raises DoesNotFit before any training when no choice can fit."""
    started = time.process_time()
    if not (resume and run.load()):
        zeros = [np.zeros(len(pool)) for pool in run.pools]
        Chooser(run.prices, run.budget).diverse(zeros, 1, 1.0)
        run.ledger.charge("setup", time.process_time() - started)
        run.save()
    if run.schedule.teacher_epochs:
        run.teach(trained(run))
    if run.chosen is None:
        _choose(run, executor)
    _finetune(run)
    return _measure(run, task)


def _choose(run: LanaRun, executor: Executor | None) -> None:
    results = library.trained(run, executor)
    assembler = Assembler(run, results)
    started = time.process_time()
    chosen, facts = assembler.choose()
    candidates = assembler.candidates(chosen)
    net = run.assembled(candidates, copy.deepcopy(assembler.modules(chosen)))
    recalibrate(net, run.task)
    validation = run.task.validation
    spent = {key: sum(r[key] for r in results) for key in ("samples", "candidate_samples", "score_samples", "cpu_seconds")}
    looks = assembler.rescored_samples + assembler.judged_samples
    run.ledger.charge("candidates", spent["cpu_seconds"], spent["samples"],
                      spent["candidate_samples"] + spent["score_samples"])
    run.ledger.charge("choose", time.process_time() - started, 0, looks)
    run.facts |= {**facts, "exact_prices": run.prices.calls, "cells": [c.name for c in run.cells],
                  "candidates": [[c.name for c in pool] for pool in run.pools], "chosen": [c.name for c in candidates],
                  "errors": {cell.name: {name: e if math.isfinite(e) else None for name, e in r["errors"].items()}
                             for cell, r in zip(run.cells, results)},
                  "passes": {"teacher": spent["samples"], "candidates": spent["candidate_samples"],
                             "scores": spent["score_samples"] + assembler.rescored_samples,
                             "solutions": assembler.judged_samples},
                  "teacher_validation": score(run.dense, run.task, validation),
                  "assembled_validation": score(net, run.task, validation)}
    run.choose(run.genotype_of(candidates), net.train())
    run.save()


def _finetune(run: LanaRun) -> None:
    """All weights, on labels and on the teacher's answers."""
    steps, total = steps_per_epoch(run.task, run.schedule), run.schedule.finetune_epochs
    rate, loss_of = run.schedule.rate * run.settings["finetune_share"], taught_by(run.dense, run.task.objective)
    while run.epoch < total:
        started, epoch = time.process_time(), run.epoch
        loss = train_epoch(run.net, run.optimizer, batches(run.task, run.schedule, run.seed, epoch),
                           lambda step, epoch=epoch: cosine((epoch + step / steps) / total, rate), loss_of)
        run.end_epoch(started, {"loss": loss, "validation": score(run.net, run.task, run.task.validation)})


def _measure(run: LanaRun, task: Task) -> Result:
    """Price the deployed graph by itself, check it against the budget, and read the test split once."""
    run.net = collapsed(run.net)
    height, width, depth = task.input_shape
    cost = estimate(graph_of(run.net, (height, width), depth), run.board, rewrite=False, ram_bytes=run.budget.ram_bytes,
                    simulator=run.prices.simulator)
    if max(usage(cost, run.budget).values()) > 1:
        raise DoesNotFit("what was assembled exceeds the budget", where="lana", fix="this is a fault of the method")
    dense = run.prices.exact((0,) * len(run.cells))
    return finish(run, task, cost, dense, dense=asdict(dense), choices=run.genotype().choices)
