# SPDX-License-Identifier: Apache-2.0
"""The supernet of PruNet (Kierat et al., arXiv 2209.11785): inner widths by bi-paths, and one depth per stage.

An option with an inner width is a BiPath, which is drawn anew whenever gates are. With `is_monotone`, slots that may be
skipped end their stage when they are: what is skipped in one is skipped in all behind it, so that a stage's skips are one
distribution of its depth. The first slot of a stage always runs then.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from mcunas.space import sampling
from mcunas.space.bipath import SETTLE_STEPS, BiPath
from mcunas.space.blocks import find
from mcunas.space.blocks.bottleneck import Bottleneck
from mcunas.space.choice import ChoiceBlock, Gate
from mcunas.space.genotype import SKIP, Genotype
from mcunas.space.hidden import Hidden
from mcunas.space.net import SpaceNet
from mcunas.space.space import Space
from mcunas.space.supernet import Gates, Supernet
from mcunas.space.tiers import depths

Inner = tuple[str, str]         # (slot, option)


def hidden_of(block: Bottleneck) -> Hidden:
    """The expansion of an inverted bottleneck."""
    return Hidden(block.widen[1], (block.widen[2], block.filter[1], block.filter[2]), block.narrow[1])


def stages_of(space: Space) -> dict[str, list[str]]:
    """stage -> its slots, in the order in which they run."""
    found: dict[str, list[str]] = {}
    for slot in space.slots:
        found.setdefault(slot.name.rpartition("_")[0], []).append(slot.name)
    return found


class TieredSupernet(Supernet):
    """grain: of inner widths, and the least; 0 = options keep the widths that they have by themselves.

    random, tau: of the bi-paths' draws; to be set before gates are drawn. Under no_grad a draw is for weights: one path
    runs; otherwise for theta: both do.
    """

    def __init__(self, space: Space, feasible: Mapping[str, tuple[str, ...]], grain: int = 8, is_monotone: bool = True,
                 settle_steps: int = SETTLE_STEPS) -> None:
        stages = stages_of(space)
        if is_monotone:
            firsts = {slots[0] for slots in stages.values()}
            feasible = {s: tuple(o for o in options if o != SKIP or len(options) == 1 or s not in firsts)
                        for s, options in feasible.items()}
        super().__init__(space, feasible)
        self.stages, self.is_monotone = stages, is_monotone
        self.random, self.tau = torch.Generator(), 1.0
        for block in self.choices().values() if grain else ():
            for option in [o for o in block.names if find(o).inner]:
                block.options[option] = BiPath(block.options[option], hidden_of, grain, grain, settle_steps)

    def inner(self) -> dict[Inner, BiPath]:
        """The bi-paths of what is alive."""
        return {(slot, name): option for slot, block in self.choices().items() for name, option in block.options.items()
                if isinstance(option, BiPath)}

    def arch(self) -> list[nn.Parameter]:
        return [*super().arch(), *(path.theta for path in self.inner().values())]

    def gates(self, draw: sampling.Draw) -> dict[str, Gate]:
        for path in self.inner().values():
            path.draw(self.random, self.tau, learns=torch.is_grad_enabled())
        return self._by_depth(super().gates(draw))

    def probs(self, tau: float = 1.0) -> dict[str, torch.Tensor]:
        """As the supernet's; in monotone stages each slot's by how likely all before it run."""
        gates = super().gates(lambda block: sampling.mixture(block, tau))
        return {name: gate.weights for name, gate in self._by_depth(gates).items()}

    def _by_depth(self, gates: dict[str, Gate]) -> dict[str, Gate]:
        for stage in self.stages if self.is_monotone else ():
            gates |= self._in_a_row(stage, gates)
        return gates

    def forward(self, x: torch.Tensor, gates: Gates) -> torch.Tensor:  # type: ignore[override]
        """As the supernet's; a bi-path whose two copies run counts twice in option_forwards."""
        for (slot, option), path in self.inner().items():
            block = self.slots[slot]
            self.option_forwards += len(x) * (path.runs_both and block.index(option) in gates[slot].run)
        return super().forward(x, gates)

    def removable(self, stage: str) -> list[str]:
        """Slots of a stage that still may run or not, in their order."""
        blocks = self.choices()
        return [s for s in self.stages[stage] if SKIP in blocks[s].options and len(blocks[s].options) > 1]

    def _in_a_row(self, stage: str, gates: Mapping[str, Gate]) -> dict[str, Gate]:
        """The gates of the slots that may be skipped, each weighted by how much runs before it."""
        runs, found = torch.ones(()), {}
        for slot in self.removable(stage):
            block, gate = self.choices()[slot], gates[slot]
            skip = block.index(SKIP)
            if gate.weights is None:
                found[slot] = gate if bool(runs) else sampling.fixed(block, SKIP)
                runs = runs * (found[slot].run != (skip,))
            else:
                rest = torch.zeros(len(block.names)).index_fill(0, torch.tensor(skip), 1.0)
                found[slot] = Gate(gate.run, gate.weights * runs + rest * (1 - runs), gate.is_binary)
                runs = runs * (1 - gate.weights[skip])
        return found

    def best(self) -> dict[str, str]:
        """slot -> its likeliest option, in monotone stages at the likeliest depth."""
        if not self.is_monotone:
            return super().best()
        choices = {slot: likeliest(block) for slot, block in self.choices().items()}
        for stage in self.stages:
            slots = self.removable(stage)
            p = depths([self.skip_share(s) for s in slots])
            choices |= dict.fromkeys(slots[max(range(len(p)), key=lambda d, p=p: p[d]):], SKIP)
        return choices

    def widths_of(self, choices: Mapping[str, str]) -> dict[str, int]:
        """slot -> inner width of its option, where that was searched: found, or the likelier one of the two."""
        return {slot: path.likelier for (slot, option), path in self.inner().items() if choices[slot] == option}

    def extract(self, found: Genotype | Mapping[str, str]) -> SpaceNet:
        for path in self.inner().values():
            path.gate = int(path.likelier == path.bracket.hi)
        return super().extract(found)

    def skip_share(self, slot: str) -> float:
        block = self.choices()[slot]
        return float(block.probs().detach()[block.index(SKIP)])

    def inner_state(self) -> dict[str, Any]:
        return {f"{slot}/{option}": path.state() for (slot, option), path in self.inner().items()}

    def load_inner(self, kept: Mapping[str, Any]) -> None:
        """The opposite of `inner_state`, after `keep` and before an optimizer is made."""
        for (slot, option), path in self.inner().items():
            path.load(kept[f"{slot}/{option}"])


def likeliest(block: ChoiceBlock) -> str:
    """The most probable option that computes something; skip where there is no other."""
    p = block.probs().detach()
    running = [o for o in block.options if o != SKIP] or [SKIP]
    return max(running, key=lambda o: float(p[block.index(o)]))
