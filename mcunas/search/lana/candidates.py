# SPDX-License-Identifier: Apache-2.0
"""What may stand in a cell instead of what the teacher has there: blocks by name, narrower ones, the teacher's own narrowed.

Each is named by data that a genotype holds: an option and a width inside it.
"""
from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from mcunas.prune.groups import Channels, find_groups
from mcunas.prune.masks import LEAST_WIDTH
from mcunas.prune.slicing import slice_channels
from mcunas.space.blocks import BLOCKS, build, find, refusal
from mcunas.space.cells import TEACHER, Cell

SHARES = (0.75, 0.5, 0.25)      # of the channels inside a teacher's cell
NARROW = (1.0, 0.5)             # widths inside bottlenecks beside their own, over the input's
NARROW_OPTIONS = ("mb3_e2", "mb5_e2")


@dataclass(frozen=True)
class Candidate:
    """option: a block, or TEACHER. inner: the width inside the block, None = its own. share: of the teacher's channels that
    neither input nor output sees."""

    option: str
    inner: int | None = None
    share: float = 1.0

    @property
    def name(self) -> str:
        detail = self.inner or (self.share if self.share < 1 else None)
        return f"{self.option}:{detail:g}" if detail else self.option

    @property
    def is_trained(self) -> bool:
        """Whether distillation has anything to teach it."""
        return self.option not in (TEACHER, "skip") or self.share < 1


def pool(cell: Cell, blocks: Sequence[str] | None = None, is_narrowed: bool = True) -> tuple[Candidate, ...]:
    """The teacher's own first. blocks: names, default all that there are; those that cannot stand there are left out.

    is_narrowed: with narrower ones too. Raises InputError for an unknown block.
    """
    found = [Candidate(TEACHER)]
    if is_narrowed and inner_channels(cell).groups:
        found += [Candidate(TEACHER, share=s) for s in SHARES]
    if cell.context is None:
        return tuple(found)
    if blocks is None:
        find("skip")            # loads the table
        blocks = list(BLOCKS)
    for name in blocks:
        if refusal(name, cell.context):
            continue
        found.append(Candidate(name))
        if is_narrowed and name in NARROW_OPTIONS:
            inner = {round(share * cell.context.inputs) for share in NARROW} - {find(name).inner(cell.context)}
            found += [Candidate(name, n) for n in sorted(inner, reverse=True) if n >= LEAST_WIDTH]
    return tuple(found)


def inner_channels(cell: Cell) -> Channels:
    """The channel groups of the teacher's cell that end inside it."""
    return find_groups(cell.module, torch.zeros(1, cell.channels, *cell.size))


def make(cell: Cell, candidate: Candidate) -> nn.Module:
    """The candidate with its first weights; what is the teacher's has the teacher's."""
    if candidate.option != TEACHER:
        return build(candidate.option, cell.context, candidate.inner)
    module = copy.deepcopy(cell.module)
    if candidate.share < 1:
        channels = inner_channels(cell)
        slice_channels(module, channels, [_strongest(module, g.modules[0], kept_of(g.channels, candidate.share))
                                          for g in channels.groups])
    return module


def widths_of(cell: Cell, candidate: Candidate) -> dict[str, int]:
    """What a genotype holds in `widths` for this choice."""
    if candidate.option != TEACHER:
        return {cell.name: candidate.inner} if candidate.inner else {}
    groups = inner_channels(cell).groups if candidate.share < 1 else ()
    return {f"cells.{cell.name}.{g.name}": kept_of(g.channels, candidate.share) for g in groups}


def kept_of(channels: int, share: float) -> int:
    return max(min(LEAST_WIDTH, channels), round(share * channels))


def _strongest(module: nn.Module, path: str, count: int) -> torch.Tensor:
    """Indices, in order, of the channels whose weights are largest in sum."""
    weight = module.get_submodule(path).weight.detach()
    return weight.abs().flatten(1).sum(1).topk(count).indices.sort().values
