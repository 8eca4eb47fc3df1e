# SPDX-License-Identifier: Apache-2.0
"""What tests/bench/prune.py compares: start nets with budgets that bind, and arms that differ in one thing each.

Start nets are those of pruning-methods.md section 1.7: P in proportion (residual 24/48/96), Q out of proportion (VGG-like:
48 channels at full resolution, a heavy linear layer; for series a DS-CNN of 128 channels throughout). Budgets are fixed
bytes and microseconds, a fourth or less of what the dense net takes; arms share epochs, optimizer, augmentation,
fine-tuning and quantization.
"""
from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from typing import Any

from mcunas.budget import Budget
from mcunas.tasks import Schedule, Task

BOARD = "mps2-an386"


@dataclass(frozen=True)
class Contest:
    """One task and start net. budget: of every arm but the dense one."""

    task: str
    start: str
    options: dict[str, Any]
    budget: Budget
    schedule: Schedule


_DIGITS = Schedule(prune_epochs=14, finetune_epochs=14, qat_epochs=3, warmup_epochs=2, batch=64, rate=0.1, width_rate=0.05)
_FASHION = replace(_DIGITS, prune_epochs=10, finetune_epochs=10, qat_epochs=2, epoch_samples=2048)
_SERIES = replace(_DIGITS, prune_epochs=12, finetune_epochs=12, qat_epochs=3, rate=0.05)
_VGG = {"stages": [[48, 48], [48, 48], [96]], "hidden": 128}
_HEAVY = {"stages": [[48, 48], [48, 48], [192]], "hidden": 256}
_SPEECH = {"widths": [128] * 5, "strides": [[1, 1]] * 4, "stem_kernel": [10, 4], "stem_stride": [2, 2]}
_MOTION = {"widths": [128] * 5, "strides": [[2, 1], [1, 1], [2, 1], [2, 1]], "stem_kernel": [9, 1], "stem_stride": [2, 1],
           "kernel": [9, 1]}

CONTESTS = {
    "fashion-mnist-Q": Contest("tests.bench.prune_arms:fashion_mnist", "plain", _HEAVY, Budget(4096, 20480, "100 ms"),
                               _FASHION),
    "fashion-mnist-M": Contest("tests.bench.prune_arms:fashion_mnist", "plain", _VGG, Budget(4096, 16384, "80 ms"),
                               _FASHION),
    "digits-A16": Contest("digits", "residual", {}, Budget(2304, 9216, "38 ms"), _DIGITS),
    "fsdd-Q": Contest("fsdd", "separable", _SPEECH, Budget(3584, 12288, "36 ms"), _SERIES),
    "har-Q": Contest("har", "separable", _MOTION, Budget(1280, 11264, "16 ms"), _SERIES),
    "digits-Q": Contest("digits", "plain", _VGG, Budget(1408, 10240, "28 ms"), _DIGITS),
    "digits-P": Contest("digits", "residual", {}, Budget(2304, 11264, "44 ms"), _DIGITS),
}


@dataclass(frozen=True)
class Arm:
    """method: of mcunas.search. after: the arm whose widths it takes. budgeted: False for the dense reference."""

    method: str
    settings: dict[str, Any] = field(default_factory=dict)
    after: str = ""
    budgeted: bool = True
    changes: dict[str, Any] = field(default_factory=dict)        # of the schedule
    note: str = ""


ARMS = {
    "dense": Arm("scratch", budgeted=False, note="the start net itself, no budget"),
    "uniform": Arm("uniform", note="one width multiplier, then fill; trained from scratch"),
    "priced": Arm("priced", note="nothing learned: every e-fold of width worth the same, then as scratch"),
    "random": Arm("random", note="random widths, then fill"),
    "macs": Arm("macs", note="widths learned under MACs only, then our exact projection"),
    "greedy": Arm("greedy", note="importance only, dropped epoch by epoch"),
    "diffprune": Arm("diffprune", note="widths learned under RAM per step, flash and latency"),
    "smcp": Arm("smcp", note="soft masks, knapsack"),
    "unsliced": Arm("unsliced", note="diffprune with masks only until the projection"),
    "scratch": Arm("scratch", after="diffprune", note="diffprune's widths, trained from scratch"),
    "distilled": Arm("diffprune", changes={"teacher_epochs": 14}, note="diffprune, then taught by the dense net"),
    "smcp-hard": Arm("smcp", {"variant": "hard"}, note="no gradient for pruned weights"),
    "smcp-permanent": Arm("smcp", {"variant": "permanent"}, note="what is pruned stays pruned"),
}
if find_spec("torch_pruning"):
    ARMS["torch-pruning-l2"] = Arm("torch-pruning", {"importance": "l2"}, note="DepGraph, group L2, one ratio")
    ARMS["torch-pruning-taylor"] = Arm("torch-pruning", {"importance": "taylor"}, note="DepGraph, Taylor, one threshold")
    ARMS["torch-pruning-bn"] = Arm("torch-pruning", {"importance": "bn"}, note="DepGraph, batch-norm scales, one threshold")
if find_spec("plinio"):
    ARMS["plinio-pit"] = Arm("plinio-pit", note="PIT with DUCCIO on parameters and operations, least threshold that fits")

A16 = ("smcp", "smcp-hard", "smcp-permanent")
A18 = tuple(name for name in ARMS if name not in A16[1:])


def asked_of(contest: str, name: str, quick: bool) -> dict[str, Any]:
    """All that a row depends on but the seed."""
    asked, arm = CONTESTS[contest], ARMS[name]
    return {"task": asked.task, "start": asked.start, "options": asked.options, "board": BOARD, "method": arm.method,
            "budget": asdict(asked.budget if arm.budgeted else Budget()), "settings": arm.settings,
            "schedule": asdict(schedule_of(asked, arm, quick)),
            "after": asked_of(contest, arm.after, quick) if arm.after else None}


def schedule_of(contest: Contest, arm: Arm, quick: bool) -> Schedule:
    schedule = replace(contest.schedule, **arm.changes)
    if not quick:
        return schedule
    return replace(schedule, prune_epochs=3, finetune_epochs=1, qat_epochs=1, warmup_epochs=1, width_rate=0.3,
                   epoch_samples=512, teacher_epochs=min(schedule.teacher_epochs, 1), measured_images=200)


def fashion_mnist() -> Task:
    """The task with a fifth of its validation split: it is looked at after every epoch of every arm."""
    from mcunas import tasks

    task = tasks.load("fashion-mnist")
    return replace(task, validation=task.validation[:1000])
