# SPDX-License-Identifier: Apache-2.0
"""The candidates of one cell, each trained alone to give what the teacher's cell gives (LANA, section 3.1).

A batch goes through the teacher once and feeds all candidates of the cell. Cells know nothing of each other, so that each
is a job for any executor; a job holds all that it needs and gives back weights, errors, scores and what it has spent.
"""
from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mcunas.search.lana.candidates import Candidate, make
from mcunas.search.lana.score import Labelled, added_losses, run
from mcunas.space.cells import Cell
from mcunas.tasks import Schedule, Task
from mcunas.tasks.training import batches, cosine, generator, steps_per_epoch, tensors

FIRST_EPOCH = 500_000       # of the random streams: far from those of other trainings
SCORE_STREAM = 600_000
SCORE_BATCHES = 3


@dataclass(frozen=True, eq=False)
class Job:
    """cells: the teacher's, in a row. at: which of them. candidates: for its place.

    epochs, rate: of Adam on each candidate; the loss is the mean squared error over the variance of what the teacher gives.
    """

    cells: tuple[Cell, ...]
    at: int
    candidates: tuple[Candidate, ...]
    task: Task
    schedule: Schedule
    seed: int
    epochs: int
    rate: float
    score_images: int


def distil(job: Job) -> dict[str, Any]:
    """{"weights": name -> state, "errors": name -> error, "scores": name -> added loss, "samples", "candidate_samples",
    "score_samples": forward passes of single cells on images, "cpu_seconds"}."""
    torch.set_num_threads(1)
    torch.manual_seed(job.seed)
    started, teacher = time.process_time(), [c.module.eval() for c in job.cells]
    modules = {c.name: make(job.cells[job.at], c) for c in job.candidates}
    learning = {c.name: modules[c.name] for c in job.candidates if c.is_trained}
    errors = _train(job, teacher, learning)
    data = scoring_data(job.task, job.seed, job.score_images)
    added = added_losses(teacher, job.at, list(modules.values()), data, job.task.objective)
    samples = job.epochs * steps_per_epoch(job.task, job.schedule) * job.schedule.batch if learning else 0
    return {"weights": {name: {k: v.clone() for k, v in module.state_dict().items()} for name, module in modules.items()},
            "errors": errors, "scores": dict(zip(modules, added)), "samples": samples,
            "candidate_samples": samples * len(learning), "score_samples": sum(len(y) for _, y in data) * len(modules),
            "cpu_seconds": time.process_time() - started}


def _train(job: Job, teacher: Sequence[nn.Module], learning: dict[str, nn.Module]) -> dict[str, float]:
    errors = dict.fromkeys(learning, 0.0)
    if not learning:
        return errors
    optimizer = torch.optim.Adam([p for m in learning.values() for p in m.parameters()], lr=job.rate)
    for m in learning.values():
        m.train()
    steps = steps_per_epoch(job.task, job.schedule)
    for epoch in range(job.epochs):
        errors = dict.fromkeys(learning, 0.0)
        for step, (images, _) in enumerate(batches(job.task, job.schedule, job.seed, FIRST_EPOCH + epoch)):
            for group in optimizer.param_groups:
                group["lr"] = cosine((epoch + step / steps) / job.epochs, job.rate)
            with torch.no_grad():
                x = run(teacher[:job.at], images)
                y = teacher[job.at](x)
                spread = y.var().clamp(min=1e-6)
            optimizer.zero_grad(set_to_none=True)
            for name, module in learning.items():       # backward one by one: one graph is kept at a time
                loss = (module(x) - y).square().mean() / spread
                loss.backward()
                errors[name] += float(loss.detach()) / steps
            optimizer.step()
    for m in learning.values():
        m.eval()
    return errors


def scoring_data(task: Task, seed: int, count: int) -> Labelled:
    """The same batches for all candidates of all cells: `count` training images, in SCORE_BATCHES parts."""
    order = torch.randperm(len(task.train), generator=generator(seed, SCORE_STREAM))[:count].numpy()
    return [tensors(task, task.train[part]) for part in _parts(order)]


def _parts(order: Any) -> Sequence[Any]:
    size = -(-len(order) // SCORE_BATCHES)
    return [order[start:start + size] for start in range(0, len(order), size)]
