# SPDX-License-Identifier: Apache-2.0
"""One search in several processes, as torchrun starts them: the same steps as one process with all their batches at once.

    torchrun --nproc-per-node 2 -m mcunas search --task digits --method fbnet --out runs/two

Every process holds the whole network and draws the whole batch, of which it works on its own part. What makes the curve
that of one process is in this file: gradients are averaged before each step of any optimizer, and batch norm in training
takes its statistics over all parts (torch's SyncBatchNorm does so on GPUs only). Everything else that is random or decides
something is equal in all processes; a loss becomes the mean of all before anything depends on it. The first process
alone writes into the run's folder, and it alone goes on when the search is over.
"""
from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.optim.optimizer import register_optimizer_step_pre_hook

from mcunas.tasks.schedule import Schedule

_own_batch_norm = F.batch_norm
_groups = itertools.count()


def is_started() -> bool:
    """Whether torchrun started this process beside others."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", 1)) > 1


def is_first() -> bool:
    """Whether this is the process that writes, shows, and goes on after the search; true for a process alone."""
    return not is_started() or int(os.environ["RANK"]) == 0


def count() -> int:
    """Processes that share the work at the moment."""
    return dist.get_world_size() if dist.is_initialized() else 1


@contextlib.contextmanager
def group(out: Path) -> Iterator[Path]:
    """Within it, the processes work as one. Yields the folder for this process's files: `out` for the first; for the others
    one that goes in the end and begins with copies of the files in `out`, so that they resume alike."""
    if not is_started():
        yield out
        return
    store, rank, world = next(dist.rendezvous("env://"))
    # a prefix of its own: the store still holds the addresses of an earlier group
    dist.init_process_group("gloo", store=dist.PrefixStore(f"mcunas{next(_groups)}", store), rank=rank, world_size=world)
    hook = register_optimizer_step_pre_hook(_average_gradients)
    try:
        with tempfile.TemporaryDirectory() as folder, _shared_norms():
            held = [{p.name: p.read_bytes() for p in out.glob("*") if p.is_file()} if is_first() else {}]
            dist.broadcast_object_list(held)
            if not is_first():
                out = Path(folder)
                for name, content in held[0].items():
                    (out / name).write_bytes(content)
            yield out
    finally:
        hook.remove()
        dist.destroy_process_group()


def scaled(schedule: Schedule) -> Schedule:
    """The schedule of all processes together: each has a batch of the given size."""
    return replace(schedule, batch=schedule.batch * count())


def part(batch: torch.Tensor) -> torch.Tensor:
    """This process's share of a batch along its first dimension, maybe none of it."""
    return batch.tensor_split(count())[dist.get_rank()] if dist.is_initialized() else batch


def total(number: float) -> float:
    """Its sum over the processes."""
    if not dist.is_initialized():
        return number
    tensor = torch.tensor(number, dtype=torch.float64)
    dist.all_reduce(tensor)
    return tensor.item()


def mean(number: float) -> float:
    """Its mean over the processes: of a loss that each took over its own part."""
    return total(number) / count()


def gather(items: list[Any]) -> list[Any]:
    """Those of all processes, in their order, in each of them."""
    if not dist.is_initialized():
        return items
    found: list[Any] = [None] * count()
    dist.all_gather_object(found, items)
    return list(itertools.chain.from_iterable(found))


def average(gradients: Iterable[torch.Tensor | None]) -> None:
    """Make each its mean over the processes, in place and in one message; for what is read before an optimizer's step.

    Those that are missing are missing everywhere.
    """
    found = [g for g in gradients if g is not None]
    if not found or not dist.is_initialized():
        return
    flat = torch.cat([g.flatten() for g in found])
    dist.all_reduce(flat)
    flat /= count()
    for gradient, piece in zip(found, flat.split([g.numel() for g in found])):
        gradient.copy_(piece.view_as(gradient))


def _average_gradients(optimizer: torch.optim.Optimizer, *unused: Any) -> None:
    average(p.grad for group in optimizer.param_groups for p in group["params"])


class _Sum(torch.autograd.Function):
    """Sum over the processes; so is its gradient's."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> torch.Tensor:
        return _Sum.apply(slope.contiguous())


@contextlib.contextmanager
def _shared_norms() -> Iterator[None]:
    """Batch norm, whichever module asks torch for it, and in a backward pass too, is the one below."""
    F.batch_norm = _batch_norm  # type: ignore[assignment]
    try:
        yield
    finally:
        F.batch_norm = _own_batch_norm


def _batch_norm(x: torch.Tensor, running_mean: torch.Tensor | None, running_var: torch.Tensor | None,
                weight: torch.Tensor | None = None, bias: torch.Tensor | None = None, training: bool = False,
                momentum: float = 0.1, eps: float = 1e-5) -> torch.Tensor:
    """As torch.nn.functional.batch_norm; x (N, C, ...), where N may be 0 in some processes."""
    if not training:
        return _own_batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    others, shape = [d for d in range(x.dim()) if d != 1], (1, -1, *[1] * (x.dim() - 2))
    number = x.new_full((1,), x.numel() / x.shape[1])
    sums = _Sum.apply(torch.cat([x.sum(others), number]))
    number, middle = sums[-1].detach(), sums[:-1] / sums[-1].detach()
    centred = x - middle.view(shape)
    variance = _Sum.apply(centred.square().sum(others)) / number
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(middle, momentum)
            running_var.lerp_(variance * (number / (number - 1)), momentum)
    y = centred * (variance + eps).rsqrt().view(shape)
    y = y if weight is None else y * weight.view(shape)
    return y if bias is None else y + bias.view(shape)
