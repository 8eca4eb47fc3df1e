# SPDX-License-Identifier: Apache-2.0
"""A width searched by two paths only: PruNet's stochastic bi-path block ("Prunode", Kierat et al., arXiv 2209.11785).

Two copies of a block, of inner widths lo < hi, compete by softmax(theta); the loser is replaced by a copy of the winner,
cut or grown by a step, so that the bracket walks to the best width. Memory and compute are those of two paths at most,
however many widths there are to choose from.

From the paper: the two copies, which move while the search runs, at a cost that does not depend on the number of widths.
Our own design (nas-methods.md, paper 1): the move rule with its hysteresis. The copies share no weights: a prefix that
must be good by itself would make the wider path look worse than it is.
"""
from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import nn

from mcunas.space.hidden import Hidden

THRESHOLD = 0.7         # a path wins when its probability is above
LEAST_STEPS = 20        # steps of theta between two moves
SETTLE_STEPS = 60       # weight steps after a move, before theta goes on
LO, HI = "lo", "hi"


@dataclass(frozen=True)
class Bracket:
    """Two neighbouring widths and how they move. least, most: the ends of the range; grain: the smallest step.

    heading: +1 after a move up, -1 after one down, 0 before the first. was_near: the bracket before was one grain wide.
    chosen: the width, once it is found.
    """

    lo: int
    hi: int
    step: int
    least: int
    most: int
    grain: int
    heading: int = 0
    was_near: bool = False
    chosen: int | None = None

    @staticmethod
    def start(most: int, least: int, grain: int) -> Bracket:
        """At the wide end, with steps of a quarter of the range: a longer first jump passes the optimum by far."""
        step = max(most // 4 // grain, 1) * grain
        if most <= least:
            return Bracket(most, most, step, most, most, grain, chosen=most)
        return Bracket(max(most - step, least), most, step, least, most, grain)

    def after(self, is_hi: bool) -> Bracket:
        """The bracket after hi (or lo) has won: one step its way; where the direction turns, half the step.

        It turns at an end of the range too. The search ends at a width that has beaten both neighbours at one grain.
        """
        heading = 1 if is_hi else -1
        winner = self.hi if is_hi else self.lo
        is_end = winner == (self.most if is_hi else self.least)
        turns = is_end or self.heading == -heading
        is_near = self.hi - self.lo <= self.grain
        if turns and is_near and (is_end or self.was_near):
            return replace(self, heading=heading, chosen=winner)
        step = max(self.step // 2 // self.grain, 1) * self.grain if turns else self.step
        if is_hi != is_end:
            return replace(self, lo=winner, hi=min(winner + step, self.most), step=step, heading=heading, was_near=is_near)
        return replace(self, lo=max(winner - step, self.least), hi=winner, step=step, heading=heading, was_near=is_near)


class BiPath(nn.Module):
    """Two copies of a block, of inner widths lo and hi; like the block itself to its surroundings.

    block: the widest. hidden: says of such a block where its inner axis is. theta (2,): the logits of lo and hi.
    What a forward pass runs follows `draw`; without a draw it is hi. When the search has ended, one copy is left.
    settle_steps: weight steps after a move for which theta rests, so that a fresh copy is not judged by its first outputs;
    resting: those that are left.
    """

    def __init__(self, block: nn.Module, hidden: Callable[[nn.Module], Hidden], least: int = 4, grain: int = 4,
                 settle_steps: int = SETTLE_STEPS) -> None:
        super().__init__()
        self.hidden, self.settle_steps = hidden, settle_steps
        self.bracket = Bracket.start(hidden(block).channels, least, grain)
        self.paths = nn.ModuleDict({HI: block})
        if not self.is_done:
            self.paths[LO] = self._cut(block, self.bracket.lo)
        self.theta = nn.Parameter(torch.zeros(2))
        self.steps = 0                                              # of theta since the last move
        self.resting = 0
        self.gate: int | torch.Tensor = 1

    @property
    def is_done(self) -> bool:
        return self.bracket.chosen is not None

    @property
    def runs_both(self) -> bool:
        return not self.is_done and not isinstance(self.gate, int)

    @property
    def widths(self) -> tuple[int, int]:
        return self.bracket.lo, self.bracket.hi

    @property
    def likelier(self) -> int:
        """The width found, or the likelier of the two."""
        return self.bracket.chosen or self.widths[int(self.theta[1] >= self.theta[0])]

    def weights(self) -> list[nn.Parameter]:
        """All parameters but theta."""
        return list(self.paths.parameters())

    def probabilities(self) -> torch.Tensor:
        return torch.softmax(self.theta, 0)

    def expected(self, cost_of_lo: float, cost_of_hi: float) -> torch.Tensor:
        """The cost that the two probabilities expect, differentiable in theta unless it rests."""
        p = self.probabilities().detach() if self.resting else self.probabilities()
        return p[0] * cost_of_lo + p[1] * cost_of_hi

    def draw(self, random: torch.Generator, tau: float, learns: bool) -> None:
        """Sample a path for the coming passes, one for the whole batch.

        learns: both run, with Gumbel-softmax weights at temperature tau, one-hot and straight through to theta, unless it
        rests; else only the one runs, and a step of rest is over.
        """
        uniform = torch.rand(2, generator=random).clamp(1e-9, 1 - 1e-7)
        soft = torch.softmax((self.theta - torch.log(-torch.log(uniform))) / tau, 0)
        chosen = int(soft.argmax())
        hard = torch.zeros(2).index_fill_(0, torch.tensor(chosen), 1.0)
        self.gate = hard + soft - soft.detach() if learns and not self.resting else chosen
        self.resting = max(self.resting - (not learns), 0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.is_done:
            return self.paths[HI](x)
        if not self.runs_both:
            return self.paths[HI if self.gate else LO](x)
        return self.gate[0] * self.paths[LO](x) + self.gate[1] * self.paths[HI](x)  # type: ignore[index]

    def stepped(self, threshold: float = THRESHOLD, least_steps: int = LEAST_STEPS) -> bool:
        """Count a step of theta, unless it rests: is it time to move?"""
        self.steps += not self.resting
        return not self.is_done and self.steps >= least_steps and float(self.probabilities().max().detach()) > threshold

    def move(self, random: torch.Generator) -> None:
        """Let the likelier path win and derive the other from it, cut or grown; forget theta."""
        is_hi = bool(self.theta[1] > self.theta[0])
        self.bracket = self.bracket.after(is_hi)
        self._derive(self.paths[HI if is_hi else LO], random)

    def settle(self) -> None:
        """End the search: at the width found, or at the likelier one where it is still under way."""
        if not self.is_done:
            winner = self.paths[HI if self.likelier == self.bracket.hi else LO]
            self.bracket = replace(self.bracket, chosen=self.likelier)
            self._derive(winner, torch.Generator())

    def _derive(self, winner: nn.Module, random: torch.Generator) -> None:
        lo, hi = self.widths
        self.gate, self.steps, self.resting = 1, 0, self.settle_steps
        if self.is_done:
            self.paths = nn.ModuleDict({HI: winner})
        elif self.hidden(winner).channels == lo:
            other = copy.deepcopy(winner)
            self.hidden(other).grow(hi - lo, random)
            self.paths = nn.ModuleDict({HI: other, LO: winner})
        else:
            self.paths = nn.ModuleDict({HI: winner, LO: self._cut(winner, lo)})
        with torch.no_grad():
            self.theta.zero_()
        self.theta.grad = None

    def _cut(self, block: nn.Module, width: int) -> nn.Module:
        """A copy with the `width` most important channels."""
        other = copy.deepcopy(block)
        hidden = self.hidden(other)
        hidden.keep(hidden.importance().argsort(descending=True, stable=True)[:width].sort().values)
        return other

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs besides the weights."""
        return {"bracket": asdict(self.bracket), "steps": self.steps, "resting": self.resting}

    def load(self, state: dict[str, Any]) -> None:
        """The opposite of `state`: the paths get their widths; the weights are loaded afterwards."""
        self.bracket, self.steps, self.resting = Bracket(**state["bracket"]), state["steps"], state["resting"]
        widths = {HI: self.bracket.chosen} if self.is_done else {HI: self.bracket.hi, LO: self.bracket.lo}
        block = self.paths[HI]
        self.paths = nn.ModuleDict()
        for name, width in widths.items():
            self.paths[name] = copy.deepcopy(block)
            hidden = self.hidden(self.paths[name])
            if width > hidden.channels:
                hidden.grow(width - hidden.channels, torch.Generator())
            hidden.keep(torch.arange(width))


def follow(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter]) -> None:
    """Make an optimizer of one group hold exactly these, in their order; those that stay keep their state."""
    (group,) = optimizer.param_groups
    kept = {id(p) for p in parameters}
    for gone in [p for p in group["params"] if id(p) not in kept]:
        optimizer.state.pop(gone, None)
    group["params"] = list(parameters)
