# SPDX-License-Identifier: Apache-2.0
"""Prices of a chain of choices: each position takes one of several blocks, known by index or by probability.

RAM is a vector, one entry per step, and the expectation is taken inside each step before any maximum
(pruning-methods.md section 1.5). Code is paid once however many positions use a kernel: its expectation is the
probability that any of them does. At certain choices every expectation is the exact figure. The same tables serve
integer programs. Blocks are priced on their own: steps that the compiler streams across their borders are not seen, so
the final network is priced by `estimate`.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mcunas.compiler.tables import code_table
from mcunas.cost.estimate import Priced, constant_bytes, work
from mcunas.graph.ir import Graph

if TYPE_CHECKING:
    import torch

    from mcunas.board import Board
    from mcunas.cost.estimate import Simulator


@dataclass(frozen=True, eq=False)
class Options:
    """The blocks that one position may take. live_bytes (K, S): per step, shorter blocks repeat their last; data_bytes (K,):
    tables, parameters and calls; cycles (K,); kernels (K, names): which kernels each block needs."""

    names: tuple[str, ...]
    live_bytes: np.ndarray
    data_bytes: np.ndarray
    cycles: np.ndarray
    kernels: tuple[frozenset[str], ...]

    @staticmethod
    def of(blocks: Mapping[str, Graph], board: Board, beside_bytes: int = 0, simulator: Simulator | None = None) -> Options:
        """blocks: name -> int8 Graph of the block alone. beside_bytes: what lives beside it, an open shortcut say.
        simulator: as in `estimate`."""
        prices = code_table(board)
        live, data, cycles, kernels = [], [], [], []
        for graph in blocks.values():
            schedule = Priced.of(graph, board).schedule
            calls = [call for found in schedule.program.calls for call in found]
            stages = [len(step.ops) for step in schedule.steps if step.stream]
            live.append([step.live_bytes + beside_bytes for step in schedule.steps] or [beside_bytes])
            data.append(constant_bytes(schedule) + sum(prices.params(c.kernel) + prices.call_bytes for c in calls)
                        + prices.stream_bytes * len(stages) + prices.stage_bytes * sum(stages))
            cycles.append(work(schedule, board, simulator)[1])
            kernels.append(frozenset(c.kernel for c in calls))
        steps = max(map(len, live))
        padded = np.array([found + found[-1:] * (steps - len(found)) for found in live], np.int64)
        return Options(tuple(blocks), padded, np.array(data, np.int64), np.array(cycles), tuple(kernels))


class Choices:
    """Positions in execution order. `table` rows are what an integer program needs."""

    def __init__(self, positions: Sequence[Options], board: Board) -> None:
        self.positions, self.prices = tuple(positions), code_table(board)
        self.kernels = tuple(sorted({k for options in positions for found in options.kernels for k in found}))
        self.code_bytes = tuple(self.prices.code(k) for k in self.kernels)
        self.members = tuple(sorted({m for k in self.kernels for m in self.prices.needs(k)}))

    def exact(self, chosen: Sequence[int]) -> tuple[np.ndarray, int, float]:
        """(live bytes per step (S,), flash bytes, cycles) of one option per position."""
        picked = list(zip(self.positions, chosen, strict=True))
        used = {kernel for options, k in picked for kernel in options.kernels[k]}
        flash = sum(int(options.data_bytes[k]) for options, k in picked)
        flash += sum(self.prices.code(kernel) for kernel in used) + self.prices.libraries(used)
        return (np.concatenate([options.live_bytes[k] for options, k in picked]), flash,
                float(sum(options.cycles[k] for options, k in picked)))

    def expected(self, probs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The same under probabilities (K,) per position: differentiable in them."""
        import torch

        live, flash, cycles = [], torch.zeros(()), torch.zeros(())
        for options, p in zip(self.positions, probs, strict=True):
            live.append(p @ torch.as_tensor(options.live_bytes, dtype=p.dtype))
            flash = flash + p @ torch.as_tensor(options.data_bytes, dtype=p.dtype)
            cycles = cycles + p @ torch.as_tensor(options.cycles, dtype=p.dtype)
        for kernel, size in zip(self.kernels, self.code_bytes):
            flash = flash + size * self._any(probs, lambda found, kernel=kernel: kernel in found)
        for member in self.members:
            flash = flash + self.prices.member_bytes.get(member, 0) * self._any(
                probs, lambda found, m=member: any(m in self.prices.needs(k) for k in found))
        return torch.cat(live), flash, cycles

    def _any(self, probs: Sequence[torch.Tensor], has) -> torch.Tensor:
        """Probability that some position takes a block whose kernels meet a condition."""
        import torch

        none = torch.ones(())
        for options, p in zip(self.positions, probs):
            none = none * (1 - p @ torch.tensor([float(has(found)) for found in options.kernels], dtype=p.dtype))
        return 1 - none

    def table(self) -> list[dict[str, int | float | str | list[int] | list[str]]]:
        """One row per (position, option): its share of every step, flash without code, cycles, kernels."""
        return [{"position": at, "option": k, "name": name, "live_bytes": options.live_bytes[k].tolist(),
                 "data_bytes": int(options.data_bytes[k]), "cycles": float(options.cycles[k]),
                 "kernels": sorted(options.kernels[k])}
                for at, options in enumerate(self.positions) for k, name in enumerate(options.names)]
