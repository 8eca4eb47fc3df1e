# SPDX-License-Identifier: Apache-2.0
"""What a genotype costs on a board, before it is trained: exact by the compiler, and expected over probabilities.

exact(genotype): its module with random weights becomes the int8 Graph that would be deployed, and the compiler's own
figures of that Graph are the price. expected(weights): every option priced on its own (cost.choices: cycles and flash add
up, code is paid once), plus a constant that makes it exact at one genotype, the anchor; away from there it misses what
the compiler does across the borders of blocks. Peak RAM is a maximum and does not add up: the expectation is one peak of
every block, options that can never fit are taken away before a search (`feasible`), and the exact price has the last word.
"""
from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import nn

from mcunas.budget import Budget
from mcunas.cost import Cost, estimate
from mcunas.cost.choices import Choices, Options
from mcunas.cost.estimate import remembering
from mcunas.cost.skeleton import Skeleton
from mcunas.errors import DoesNotFit
from mcunas.graph.ir import Graph
from mcunas.graph.nibbles import with_int4
from mcunas.graph.to_int8 import to_int8, usual_quants
from mcunas.graph.torch_lower import lower
from mcunas.space.bits import marks
from mcunas.space.blocks import build
from mcunas.space.blocks.collapsible import collapsed
from mcunas.space.genotype import Genotype
from mcunas.space.heads import Ended
from mcunas.space.net import own_head, stem_of
from mcunas.space.space import Slot, Space

if TYPE_CHECKING:
    from mcunas.board import Board
    from mcunas.cost.estimate import Simulator

SLACK = 1.03            # of a limit, which the table is good to
SUSPECT = 0.8           # of the RAM, by the table: then the compiler is asked
RESOURCES = {"ram_bytes": "ram", "flash_bytes": "flash", "cycles": "latency"}      # of a row -> of `usage`


@dataclass(frozen=True)
class Expected:
    """cycles, flash_bytes: torch scalars; ram_bytes (2 + slots,): the peak within stem, each slot, head. Differentiable in
    the weights."""

    cycles: torch.Tensor
    flash_bytes: torch.Tensor
    ram_bytes: torch.Tensor


def graph_of(net: nn.Module, size: tuple[int, int], channels: int, name: str = "model") -> Graph:
    """The int8 Graph of a module on images (H, W) of so many channels, with usual scales and dummy weights: its price is
    that of the trained one. Batch norms are those that quantization folds; marked layers (space/bits.py) have int4 weights.
    """
    net = collapsed(net).eval()
    lowered = lower(net, torch.zeros(1, channels, *size), name)
    graph = to_int8(lowered, usual_quants(lowered.graph), compacted=False)
    short = {w for w, (path, _) in lowered.weight_of.items() if path in marks(net)}
    graph = with_int4(graph, [i for i, op in enumerate(graph.ops) if short & set(op.inputs)])
    return Skeleton(graph, {}, ()).at(())


class Prices:
    """Prices of a space's networks on one board. ram_bytes: the arena's limit, within which the compiler may be fast.
    simulator: for kernels that the core's table does not know (mcunas.device.alone), else they are an InputError.

    `calls` and `cpu_seconds` count exact prices that were not known yet.
    """

    def __init__(self, space: Space, board: Board, ram_bytes: int | None = None,
                 simulator: Simulator | None = None) -> None:
        self.space, self.board, self.ram_bytes = space, board, ram_bytes
        self.simulator = remembering(simulator) if simulator else None
        self.calls, self.cpu_seconds = 0, 0.0
        self._known: dict[str, Cost] = {}
        self._shift = (0.0, 0.0)

    def exact(self, genotype: Genotype) -> Cost:
        """What `mcunas.cost.estimate` gives for the deployed Graph; known ones cost nothing."""
        if genotype.key not in self._known:
            started = time.process_time()
            graph = graph_of(genotype.build_dense(), self.space.size, self.space.input_shape[2])
            self._known[genotype.key] = estimate(graph, self.board, rewrite=False, ram_bytes=self.ram_bytes,
                                                  simulator=self.simulator)
            self.calls, self.cpu_seconds = self.calls + 1, self.cpu_seconds + time.process_time() - started
        return self._known[genotype.key]

    def fits(self, genotype: Genotype, budget: Budget) -> bool:
        return max(usage(self.exact(genotype), budget).values()) <= 1

    @cached_property
    def table(self) -> Choices:
        """Every option of every slot priced on its own, in the order stem, slots, head."""
        space, last = self.space, self.space.slots[-1].context
        rows = [self._options({"stem": graph_of(stem_of(space), space.size, space.input_shape[2])})]
        priced: dict[tuple, Options] = {}
        for slot in space.slots:
            if (slot.context, slot.options) not in priced:
                blocks = {o: graph_of(build(o, slot.context), slot.context.size, slot.context.inputs) for o in slot.options}
                priced[slot.context, slot.options] = self._options(blocks)
            rows.append(priced[slot.context, slot.options])
        rows.append(self._options({"head": graph_of(Ended(own_head(space)), last.out_size, last.outputs)}))
        return Choices(rows, self.board)

    def _options(self, blocks: Mapping[str, Graph]) -> Options:
        return Options.of(blocks, self.board, simulator=self.simulator)

    def row(self, slot: Slot | str) -> dict[str, dict[str, float]]:
        """option -> {"cycles", "flash_bytes" without code, "ram_bytes" on its own} in that slot, by the table."""
        slot = self.space.slot(slot) if isinstance(slot, str) else slot
        found = self.table.positions[1 + self.space.slots.index(slot)]
        return {name: {"cycles": float(found.cycles[k]), "flash_bytes": int(found.data_bytes[k]),
                       "ram_bytes": int(found.live_bytes[k].max())} for k, name in enumerate(found.names)}

    def added(self, genotype: Genotype) -> tuple[float, int]:
        """(cycles, flash bytes) by the table alone, without the anchor."""
        picked = [s.options.index(genotype.choices[s.name]) for s in self.space.slots]
        _, flash_bytes, cycles = self.table.exact([0, *picked, 0])
        return cycles, flash_bytes

    def anchor(self, genotype: Genotype) -> Cost:
        """Make `expected` exact at this genotype; returns its price."""
        cost, (cycles, flash_bytes) = self.exact(genotype), self.added(genotype)
        self._shift = cost.cycles - cycles, cost.flash_bytes - flash_bytes
        return cost

    def expected(self, weights: Mapping[str, torch.Tensor], names: Mapping[str, Sequence[str]] | None = None) -> Expected:
        """weights: slot -> (N,) of its options, as a ChoiceBlock orders them: `names` (slot -> option names) where those are
        not the space's. With one-hot weights of the anchor it is the exact price."""
        rows = [torch.ones(1)]
        for slot in self.space.slots:
            own = tuple((names or {}).get(slot.name, slot.options))
            columns = torch.tensor([slot.options.index(name) for name in own])
            rows.append(torch.zeros(len(slot.options)).index_put((columns,), weights[slot.name]))
        rows.append(torch.ones(1))
        _, flash_bytes, cycles = self.table.expected(rows)
        peaks = [p @ torch.as_tensor(found.live_bytes.max(1), dtype=p.dtype) for found, p in zip(self.table.positions, rows)]
        return Expected(cycles + self._shift[0], flash_bytes + self._shift[1], torch.stack(peaks))

    def feasible(self, budget: Budget) -> dict[str, tuple[str, ...]]:
        """slot -> options that may be part of a network that fits, as far as can be told without trying all networks.

        An option goes when it exceeds a budget whatever simple network stands around it: one kind of block everywhere, or
        the lightest in each slot. Cycles and flash are asked of the table, RAM of the compiler. Raises DoesNotFit when a
        slot is left without any, or when even the lightest network is too large.
        """
        around = self._simple()
        least = {key: usage(self.exact(self.space.genotype(self._lightest(around, what))), budget).get(key, 0.0)
                 for what, key in RESOURCES.items()}
        if max(least.values()) > 1:
            raise DoesNotFit(f"even the lightest network of space {self.space.start!r} needs {beyond(least)}",
                             where=self.board.key, fix="raise the budget, or narrow the space's stem and stages")
        found = {}
        for slot in self.space.slots:
            found[slot.name] = tuple(o for o in slot.options if self._can_fit(slot, o, around, budget))
            if not found[slot.name]:
                raise DoesNotFit(f"no option of slot {slot.name} fits", where=self.board.key,
                                 fix="raise the budget or give the slot lighter options")
        return found

    def _simple(self) -> list[dict[str, str]]:
        """Choices that are light in one way or another: the lightest of each slot, and one kind of block everywhere."""
        rows = {s.name: self.row(s) for s in self.space.slots}
        light = {what: {name: min(row, key=lambda o, row=row, what=what: row[o][what]) for name, row in rows.items()}
                 for what in RESOURCES}
        kinds = sorted({o for slot in self.space.slots for o in slot.options})
        return [*light.values(), *({name: kind if kind in row else light["cycles"][name] for name, row in rows.items()}
                                   for kind in kinds)]

    def _lightest(self, around: list[dict[str, str]], what: str) -> dict[str, str]:
        """Of simple choices the one that the table says is lightest in cycles or flash; for RAM the slots' lightest."""
        if what == "ram_bytes":
            return around[0]
        return min(around, key=lambda c: self.added(self.space.genotype(c))[what == "flash_bytes"])

    def _can_fit(self, slot: Slot, option: str, around: list[dict[str, str]], budget: Budget) -> bool:
        added = [self.added(self.space.genotype({**c, slot.name: option})) for c in around]
        if min(f for _, f in added) > SLACK * budget.flash_bytes:
            return False
        limit = (budget.latency_us or float("inf")) * self.board.clock_hz / 1e6
        if min(c for c, _ in added) > SLACK * limit:
            return False
        if self.row(slot)[option]["ram_bytes"] <= SUSPECT * budget.ram_bytes:
            return True
        return self.exact(self.space.genotype({**around[0], slot.name: option})).ram_bytes <= budget.ram_bytes


def usage(cost: Cost, budget: Budget) -> dict[str, float]:
    """ram, flash and, where it is limited, latency over the budget (Budget.for_board)."""
    found = {"ram": cost.ram_bytes / budget.ram_bytes, "flash": cost.flash_bytes / budget.flash_bytes}
    return found | ({"latency": cost.latency_us / budget.latency_us} if budget.latency_us else {})


def beyond(shares: Mapping[str, float]) -> str:
    """In words, what of a `usage` is more than the budget; empty where nothing is."""
    over = ", ".join(f"{share:.2f} times the {what}" for what, share in shares.items() if share > 1)
    return f"{over} that the budget has" if over else ""
