# SPDX-License-Identifier: Apache-2.0
"""What the searches of tests/bench/nas.py have in common: the task, the space, budgets that bind, the recipe.

Fashion-MNIST, of whose training split the 12,000 images of lowest SHA-256 are used, and the whole test split. The budget
on the Cortex-M4 is what lets in a given share of the space's networks. It is tight, since where most networks fit they
differ by less than seeds do, and then no search can show anything. On another board it is what the networks at the M4's
limit take there, by their median: a network is as near to either limit unless it suits one board better. (The same share
there is not the same: its limit can be nearer to, or farther from, the networks that searches find.)
"""
from __future__ import annotations

from dataclasses import replace
from functools import cache
from statistics import median

import torch

from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.device.alone import simulated
from mcunas.space import space as spaces
from mcunas.space.price import Prices
from mcunas.tasks import Schedule, Task
from mcunas.tasks.training import generator

TASK = "tests.bench.nas_contest:fashion_mnist"
TRAINING_IMAGES, VALIDATION_IMAGES = 12_000, 2_000
M4, M0PLUS = "mps2-an386", "mps2-an385-m0plus"
SPACE = {"options": ["conv3x3", "ds3", "ds5", "mb3_e3", "conv1x1", "skip"],
         "stages": [{"channels": 16, "stride": 1, "slots": 2}, {"channels": 32, "stride": 2, "slots": 3},
                    {"channels": 48, "stride": 2, "slots": 3}]}
ADMITTED = {"latency": 0.02, "flash": 0.8}      # shares of the space's networks, by the table of prices
DRAWN = 4_096                                   # of them
NEAR = 0.05                                     # of the M4's limit: networks that say what it is on another board
SEARCH = Schedule(prune_epochs=24, finetune_epochs=20, qat_epochs=2, warmup_epochs=1, batch=64, rate=0.05,
                  epoch_samples=6_000, measured_images=None)
RAM_BYTES = 10 * 1024


def fashion_mnist() -> Task:
    """The task with a part of its training and validation splits; both are sorted by SHA-256."""
    from mcunas import tasks

    task = tasks.load("fashion-mnist")
    return replace(task, train=task.train[:TRAINING_IMAGES], validation=task.validation[:VALIDATION_IMAGES])


@cache
def space() -> spaces.Space:
    return spaces.load("images", SPACE, (28, 28, 1), 10)


@cache
def budget(board: str) -> Budget:
    chosen, random = Board.load(board), generator(0, 0)
    drawn = [space().genotype({s.name: s.options[int(torch.randint(len(s.options), (), generator=random))]
                               for s in space().slots}) for _ in range(DRAWN)]
    cycles, flash_bytes = zip(*map(_prices(board).added, drawn))
    of_m4 = [_prices(M4).added(genotype)[0] for genotype in drawn]
    limit = sorted(of_m4)[int(ADMITTED["latency"] * DRAWN)]
    ratios = [own / m4 for own, m4 in zip(cycles, of_m4) if abs(m4 / limit - 1) <= NEAR]
    return Budget(RAM_BYTES, sorted(flash_bytes)[int(ADMITTED["flash"] * DRAWN)],
                  limit * median(ratios) / chosen.clock_hz * 1e6)


@cache
def _prices(board: str) -> Prices:
    return Prices(space(), Board.load(board), RAM_BYTES, simulated)
