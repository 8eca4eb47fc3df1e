# SPDX-License-Identifier: Apache-2.0
"""RAM per schedule step, flash and latency of a network as functions of its widths: exact, and differentiable.

Peak RAM <= B is the same set as "live bytes at every step <= B", so RAM is a vector of constraints, one per op. The
schedule, its lifetimes and the kernels' scratch come from the compiler at the nearest integer widths and are refreshed
every epoch; between refreshes they are constant, which is the right derivative at the best order (pruning-methods.md
section 1.4, Resources). The differentiable form equals the exact one where it was refreshed.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mcunas.budget import Budget
from mcunas.compiler.features import op_features
from mcunas.compiler.lifetime import Program
from mcunas.compiler.lower import KernelCall
from mcunas.compiler.schedule import preferred
from mcunas.compiler.select import select
from mcunas.compiler.tables import instruction_table
from mcunas.cost.estimate import Priced, flash, remembering, tables, work
from mcunas.cost.layers import Layer, Layers
from mcunas.cost.skeleton import Skeleton

if TYPE_CHECKING:
    from mcunas.board import Board
    from mcunas.cost.estimate import Simulator

GOAL = "balanced"           # as the search prices and the compiler compiles
_KEPT = 256
_SLOPE_STEP = 4             # channels; alignment and scratch are staircases of at most this pitch


@dataclass(frozen=True)
class Usage:
    """What a network takes. live_bytes: per op of the graph; ram_bytes: their maximum, or the placed arena."""

    ram_bytes: int
    flash_bytes: int
    latency_us: float
    live_bytes: tuple[int, ...]

    def ratios(self, budget: Budget) -> np.ndarray:
        """(RAM, flash, latency, live bytes per op...) over the budget; 0 where there is no limit."""
        latency = self.latency_us / budget.latency_us if budget.latency_us else 0.0
        return np.array([self.ram_bytes / budget.ram_bytes, self.flash_bytes / budget.flash_bytes, latency,
                         *(b / budget.ram_bytes for b in self.live_bytes)])

    def fits(self, budget: Budget) -> bool:
        return bool((self.ratios(budget) <= 1).all())


class Resources:
    """Prices one network (a Skeleton) on one board. `soft` needs a `refresh` at nearby integer widths first.

    ram_bytes: the arena's limit, within which the compiler takes the liberty to be fast. simulator: for kernels that the
    core's table does not know (mcunas.device.alone), else they are an InputError.
    """

    def __init__(self, skeleton: Skeleton, board: Board, ram_bytes: int | None = None,
                 simulator: Simulator | None = None) -> None:
        self.skeleton, self.board = skeleton, board
        self.simulator = remembering(simulator) if simulator else None
        self._limit_bytes = min(ram_bytes or board.ram_bytes, board.ram_bytes)
        self._layers = Layers(skeleton, board, self.simulator)
        self._us_per_cycle = 1e6 / board.clock_hz
        self._priced: dict[tuple[int, ...], Priced] = {}
        self._bounds: dict[tuple[int, ...], Usage] = {}
        self._placed: dict[tuple[int, ...], Usage] = {}
        self._live_slope = self._live_shift = torch.zeros(0)
        self._flash_shift = self._latency_shift = 0.0
        self._per_weight: dict[int, float] = {}
        self._calls: list[KernelCall | None] = []

    def _price(self, widths: Sequence[int]) -> Priced:
        """As `Priced.of` the network at these widths, from layers that are looked at once; without their tables."""
        key = tuple(int(w) for w in widths)
        if key not in self._priced:
            while len(self._priced) >= _KEPT:
                self._priced.pop(next(iter(self._priced)))
            calls = tuple(self._layers.calls(i, layer, key) for i, layer in enumerate(self._layers_at(key)))
            program = Program.with_calls(self.skeleton.at(key), calls)
            self._priced[key] = Priced(preferred(program, GOAL, self._limit_bytes)[0])
        return self._priced[key]

    def _layers_at(self, widths: Sequence[int]) -> list[Layer]:
        return [self._layers.at(op, widths) for op in range(len(self.skeleton.graph.ops))]

    def bound(self, widths: Sequence[int]) -> Usage:
        """Exact but for the arena, which is the liveness bound: what a perfect placement would need."""
        key = tuple(int(w) for w in widths)
        if key not in self._bounds:
            priced = self._price(key)
            latency_us = work(priced.schedule, self.board, self.simulator)[1] * self._us_per_cycle
            flash_bytes = flash(priced.schedule, self.board)[0] + sum(
                x.table_bytes for x, calls in zip(self._layers_at(key), priced.program.calls) if calls)
            self._bounds[key] = Usage(priced.bound_bytes, flash_bytes, latency_us, priced.live_bytes_per_op)
        return self._bounds[key]

    def exact(self, widths: Sequence[int]) -> Usage:
        """The same numbers as `mcunas.cost.estimate` gives for the deployed Graph."""
        key = tuple(int(w) for w in widths)
        if key not in self._placed:
            usage = self.bound(key)
            self._placed[key] = Usage(self._price(key).ram_bytes, usage.flash_bytes, usage.latency_us, usage.live_bytes)
        return self._placed[key]

    def order(self, widths: Sequence[int]) -> tuple[int, ...]:
        """The schedule at integer widths: op indices."""
        return self._price(widths).order

    def refresh(self, widths: Sequence[int]) -> Usage:
        """Take schedule, lifetimes and kernel tables from the compiler at integer widths; returns the usage there."""
        priced = self._price(widths)
        slope = self._live_slopes(priced, widths)
        usage, w = self.bound(widths), np.array(widths, float)
        self._live_slope = torch.tensor(slope, dtype=torch.float32)
        self._live_shift = torch.tensor(np.array(usage.live_bytes) - slope @ w, dtype=torch.float32)
        self._per_weight = self._table_rates(widths)
        self._calls = [calls[0].bare() if calls else None for calls in priced.program.calls]
        self._flash_shift = self._latency_shift = 0.0
        soft = self.soft(torch.tensor(w, dtype=torch.float32))
        self._flash_shift = usage.flash_bytes - float(soft[1])
        self._latency_shift = usage.latency_us - float(soft[2])
        return usage

    def _live_slopes(self, priced: Priced, widths: Sequence[int]) -> np.ndarray:
        """(ops, groups): what one more channel of a group adds to the bytes live at each op, under this schedule.

        Differences over several channels, so that alignment averages out; over a width at which the compiler keeps the
        schedule where there is one, because a change of schedule is not a slope.
        """
        steps = [step.ops for step in priced.schedule.steps]
        slopes = np.zeros((len(priced.live_bytes_per_op), len(widths)))
        for g in range(len(widths)):
            moves = [d for d in (_SLOPE_STEP, -_SLOPE_STEP) if widths[g] + d > 0]
            tried = [(d, self._price([w + d * (i == g) for i, w in enumerate(widths)])) for d in moves]
            same = [(d, p) for d, p in tried if [step.ops for step in p.schedule.steps] == steps]
            d, moved = (same or tried)[0]
            slopes[:, g] = (np.array(moved.live_bytes_per_op) - np.array(priced.live_bytes_per_op)) / d
        return slopes

    def _table_rates(self, widths: Sequence[int]) -> dict[int, float]:
        """Flash bytes per element of each weight and bias tensor, from the compiler's tables (packing, requantization)."""
        rates: dict[int, float] = {}
        graph = self.skeleton.at(widths)
        program = Program.of(graph, self.board.isa, select(graph, self.board, GOAL, lambda choice: 0))
        for op, calls in zip(graph.ops, program.calls):
            sizes = [tables(c) for c in calls]
            constants = [t for t in op.inputs if t >= 0 and t in self.skeleton.axes and graph.tensors[t].is_const]
            for t in constants:
                per_channel = graph.tensors[t].dtype == "int32"
                total = sum(s["bias"] + s["requant"] if per_channel else s["weights"] for s in sizes)
                rates[t] = total / graph.tensors[t].elements
        return rates

    def soft(self, widths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(live bytes per op (S,), flash bytes, latency in us), differentiable in widths (G,)."""
        skeleton, graph = self.skeleton, self.skeleton.graph
        w = list(widths.unbind())
        flash_bytes: torch.Tensor | float = self._flash_shift
        for tensor, rate in self._per_weight.items():
            elements: torch.Tensor | float = rate
            for dim in skeleton.shape(tensor, w):
                elements = elements * dim
            flash_bytes = flash_bytes + elements
        count: torch.Tensor | float = 0.0
        for op, call in zip(graph.ops, self._calls):
            if call:
                shapes = [skeleton.shape(t, w) if t >= 0 else () for t in op.inputs]
                found = op_features(op.kind, op.attrs, shapes, skeleton.shape(op.outputs[0], w), call.rounds_long,
                                    call.clamps)
                prices = instruction_table(self.board).cycles_of(call.kernel)
                count = count + sum(p * f for p, f in zip(prices, found) if p)
        latency = count * self._us_per_cycle + self._latency_shift
        return self._live_slope @ widths + self._live_shift, torch.as_tensor(flash_bytes), torch.as_tensor(latency)
