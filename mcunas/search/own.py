# SPDX-License-Identifier: Apache-2.0
"""Bring your own network: a plain torch module and three loaders, without base class or registration."""
from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.errors import InputError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from torch import nn

    from mcunas.prune.groups import Channels
    from mcunas.search.result import Result
    from mcunas.search.state import Progress
    from mcunas.space import Genotype
    from mcunas.tasks import Schedule, Task


def prune(model: nn.Module, loaders: Any, board: Board | str, budget: Budget, method: str = "diffprune",
          out: str | Path | None = None, seed: int = 0, smoke: bool = False, resume: bool = True,
          progress: Progress | None = None, schedule: Schedule | None = None) -> Result:
    """Prune `model` while it trains, until it fits `budget` on `board`; `model` itself is not changed.

    loaders: (train, validation, test), each an iterable of (images float (N, C, H, W), labels (N,)); or a Task.
    The rest as in `mcunas.search`. Weights that are already trained are the start; a lower schedule.rate keeps them.
    Raises InputError for a model or data that cannot be used, DoesNotFit when no width fits.
    """
    from mcunas.search import search
    from mcunas.space.genotype import keep_model
    from mcunas.tasks.own import keep

    board = board if isinstance(board, Board) else Board.load(board)
    task, start = keep(loaders), keep_model(model)
    out = out or f"runs/{type(model).__name__}-{method}-{board.key}"
    return search(task.name, board, budget, method, out, seed, smoke, resume, progress, start, {}, schedule)


def accelerate(teacher: nn.Module | str | None, data: Any, board: Board | str, budget: Budget, out: str | Path | None = None,
               seed: int = 0, smoke: bool = False, resume: bool = True, progress: Progress | None = None,
               schedule: Schedule | None = None, options: dict | None = None, settings: dict | None = None,
               executor: Executor | None = None) -> Result:
    """Exchange pieces of a trained network by cheaper ones until it fits `budget` on `board` (LANA); see mcunas.search.lana.

    teacher: a torch module with trained weights; or module:function that returns one; or a starting net or a space, which is
    trained first; None = the data's own starting net. data: loaders as `prune` takes them, a Task, or a task's name.
    executor: where the candidates are trained, by default here. settings: as in mcunas.search.lana.SETTINGS. The rest as in
    `mcunas.search`.
    Raises InputError for a model or data that cannot be used, DoesNotFit when no combination fits.
    """
    import torch

    from mcunas import tasks
    from mcunas.search.driver import THREADS
    from mcunas.search.lana import accelerated
    from mcunas.search.settings import settings_of
    from mcunas.space.genotype import keep_model
    from mcunas.tasks.own import keep

    torch.set_num_threads(THREADS)
    board = board if isinstance(board, Board) else Board.load(board)
    task = tasks.load(data) if isinstance(data, str) else keep(data)
    start = teacher if teacher is None or isinstance(teacher, str) else keep_model(teacher)
    folder = Path(out or f"runs/{(start or task.name).replace(':', '.').partition('@')[0]}-lana-{board.key}")
    return accelerated(task, board, budget.for_board(board), folder, seed, smoke, resume, progress, start, options, schedule,
                       settings_of("lana", settings or {}), executor)


def demand_matching(net: nn.Module, task: Task, where: str) -> None:
    """Raise InputError unless `net` takes the task's images and gives what its objective reads."""
    import torch
    from torch import nn

    height, width, depth = task.input_shape
    for path, module in net.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and "weight" not in module._parameters:
            raise InputError(f"the weights of {path} ({type(module).__name__}) are computed from others", where=where,
                             fix="take weight_norm and its like off: nn.utils.parametrize.remove_parametrizations")
    try:
        with torch.no_grad():
            out = net.eval()(torch.zeros(2, depth, height, width))
    except Exception as error:
        raise InputError(f"it does not take images of {(depth, height, width)} (C, H, W): {error}", where=where) from None
    shape = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
    if not isinstance(out, torch.Tensor) or task.objective.refuses(shape, task.classes):  # type: ignore[arg-type]
        raise InputError(f"it gives {shape} for 2 images, not {task.objective.wanted(task.classes)}", where=where,
                         fix="end it in what the data asks for")


def demand_trainable(net: nn.Module, where: str) -> None:
    """Raise InputError when no weight may change."""
    if not any(p.requires_grad for p in net.parameters()):
        raise InputError("none of its weights may change: requires_grad is off", where=where, fix="net.requires_grad_(True)")


def structure_of(net: nn.Module, task: Task, start: Genotype) -> list[str]:
    """What tells networks of the user's own with equal weights apart; nothing of those that a name describes."""
    if not (":" in start.start or "@" in start.start):
        return []
    import torch

    from mcunas.graph.torch_lower import lower

    height, width, depth = task.input_shape
    graph = lower(net.eval(), torch.zeros(1, depth, height, width)).graph
    said = [(op.kind, op.inputs, op.outputs, sorted(op.attrs.items())) for op in graph.ops]
    return [hashlib.sha256(repr(said).encode()).hexdigest()]


def demand_groups(channels: Channels, where: str) -> None:
    """Raise InputError when no width can be chosen."""
    if not channels.groups:
        reasons = "; ".join(sorted({reason for _, reason in channels.frozen})) or "it has no convolution or linear layer"
        raise InputError(f"none of its widths can be chosen ({reasons})", where=where)
