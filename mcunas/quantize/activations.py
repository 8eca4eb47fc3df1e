# SPDX-License-Identifier: Apache-2.0
"""Which activations get int16 (TFLite's 16x8): those whose rounding to int8 the task's loss shows, while the model fits.

Measured, before training, on one batch: the loss with int8 throughout, and with no rounding in the classes that could be
int16, which is next to what int16 gives. Where that is not NEEDED less, none is int16. Else classes are freed one after
the other, the one that helps most first, up to ENOUGH of the difference or what RAM, flash and latency allow.
"""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.cost.estimate import estimate
from mcunas.graph.ir import Graph
from mcunas.graph.to_int8 import scale_classes
from mcunas.graph.to_int16 import STEPS, widened
from mcunas.prune.resources import Usage
from mcunas.quantize.qat import FakeQuantized
from mcunas.quantize.sensitivity import Loss

NEEDED = 0.02               # of the loss: what int8 activations must cost
ENOUGH = 0.9                # of the difference


@contextmanager
def freed(quantized: FakeQuantized, names: Collection[str]) -> Iterator[None]:
    """Without rounding in these classes (`can_be_wide`), nor that of integers in the ops that touch them."""
    module, roots = quantized.module, {quantized.can_be_wide[name] for name in names}
    touched = [op.outputs[0] for op in quantized.lowered.graph.ops
               if not roots.isdisjoint(quantized.classes.get(t) for t in (*op.inputs, *op.outputs))]
    places = [*(f"quantizer_{root}" for root in roots), *(f"rounding_{t}" for t in touched)]
    kept = {place: module.get_submodule(place) for place in places if hasattr(module, place)}
    for place in kept:
        setattr(module, place, nn.Identity())
    try:
        yield
    finally:
        for name, quantizer in kept.items():
            setattr(module, name, quantizer)


@torch.no_grad()
def losses_of(quantized: FakeQuantized, x: torch.Tensor, labels: torch.Tensor, loss: Loss, *choices: Collection[str]
              ) -> list[float]:
    """The loss with each choice of freed classes."""
    found = []
    quantized.module.eval()
    for names in choices:
        with freed(quantized, names):
            found.append(float(loss(quantized.module(x), labels)))
    quantized.train()
    return found


def needed(quantized: FakeQuantized, x: torch.Tensor, labels: torch.Tensor, loss: Loss,
           is_allowed: Callable[[Collection[str]], bool] = lambda names: True) -> tuple[list[str], dict[str, Any]]:
    """(names of the classes that need int16, what led there). is_allowed: whether a model with these may be taken."""
    names = list(quantized.can_be_wide)
    int8, free, *alone = losses_of(quantized, x, labels, loss, (), names, *([name] for name in names))
    facts = {"loss_int8": int8, "loss_free": free, "alone": dict(zip(names, alone))}
    chosen: list[str] = []
    if int8 - free <= NEEDED * abs(int8):
        return chosen, facts
    for name in sorted(names, key=lambda name: facts["alone"][name]):
        if is_allowed([*chosen, name]):
            chosen.append(name)
            if int8 - losses_of(quantized, x, labels, loss, chosen)[0] >= ENOUGH * (int8 - free):
                break
    return chosen, facts


def fits(graph: Graph, names: Collection[str], board: Board, budget: Budget) -> bool:
    """Whether the model with int16 in the classes of these tensors keeps the budget, by the core's tables.

    graph: int8 throughout. budget: complete (Budget.for_board).
    """
    place, classes = {tensor.name: t for t, tensor in enumerate(graph.tensors)}, scale_classes(graph)
    roots = {classes[place[name]] for name in names}
    wide = widened(graph, {root: graph.tensors[root].quant.per_tensor[0] / STEPS for root in roots})
    cost = estimate(wide, board)
    return Usage(cost.ram_bytes, cost.flash_bytes, cost.latency_us or 0.0, cost.live_bytes_per_op).fits(budget)
