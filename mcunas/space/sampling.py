# SPDX-License-Identifier: Apache-2.0
"""How a ChoiceBlock's Gate is drawn. Each way is a function of the block and a random generator; nothing is global.

    mixture       all options, weighted by softmax(alpha / tau): DARTS
    gumbel        all options, weighted by softmax((alpha + Gumbel noise) / tau); hard: one-hot forward, soft backward
    binary        one option drawn by probability; the others' weights get gradients and keep no memory: ProxylessNAS
    binary_pair   the same between two options drawn without replacement; the others' weights get no gradient
    single        one option drawn by probability, or uniformly; no gradient for alpha
    fixed         a given option
"""
from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from mcunas.space.choice import ChoiceBlock, Gate

Draw = Callable[[ChoiceBlock], Gate]


def mixture(block: ChoiceBlock, tau: float = 1.0) -> Gate:
    return Gate(block.alive, block.probs(tau))


def gumbel(block: ChoiceBlock, tau: float, random: torch.Generator, hard: bool = False) -> Gate:
    """Jang et al., arXiv 1611.01144. hard: straight-through; all alive options run, those of weight 0 for the gradient."""
    soft = torch.softmax((block.logits() + _noise(block, random)) / tau, 0)
    return Gate(block.alive, _one_hot(int(soft.argmax()), soft) if hard else soft)


def gumbel_single(block: ChoiceBlock, random: torch.Generator) -> Gate:
    """The option that `gumbel` would make hard, alone and without a slope."""
    return Gate((int((block.logits().detach() + _noise(block, random)).argmax()),))


def annealed(tau: float, random: torch.Generator, is_hard: bool) -> tuple[Draw, Draw]:
    """(of weight steps, of architecture steps): Gumbel-softmax; hard: single paths, with a soft slope for alpha."""
    def soft(block: ChoiceBlock) -> Gate:
        return gumbel(block, tau, random)

    def one(block: ChoiceBlock) -> Gate:
        return gumbel_single(block, random)

    def straight(block: ChoiceBlock) -> Gate:
        return gumbel(block, tau, random, hard=True)

    return (one, straight) if is_hard else (soft, soft)


def binary(block: ChoiceBlock, random: torch.Generator) -> Gate:
    """Gradient of alpha through all alive options' gates: sum_j dL/dg_j p_j (delta_ij - p_i)."""
    probs = block.probs()
    active = int(torch.multinomial(probs.detach(), 1, generator=random))
    others = tuple(i for i in block.alive if i != active)
    return Gate((active, *others), _one_hot(active, probs), is_binary=True)


def binary_pair(block: ChoiceBlock, random: torch.Generator) -> Gate:
    """ProxylessNAS's update of two, whatever the number of options: probabilities are those of the pair alone. With one
    option left it is that one."""
    if len(block.alive) == 1:
        return binary(block, random)
    pair = torch.multinomial(_drawable(block), 2, generator=random)
    probs = torch.softmax(block.alpha[pair], 0)
    if float(torch.rand((), generator=random)) >= float(probs[0].detach()):
        pair, probs = pair.flip(0), probs.flip(0)
    weights = torch.zeros(len(block.names)).index_put((pair,), _one_hot(0, probs))
    return Gate(tuple(pair.tolist()), weights, is_binary=True)


def single(block: ChoiceBlock, random: torch.Generator, uniform: bool = False) -> Gate:
    wanted = (block.probs().detach() > 0).float() if uniform else _drawable(block)
    return Gate((int(torch.multinomial(wanted, 1, generator=random)),))


def fixed(block: ChoiceBlock, option: str) -> Gate:
    """Raises ValueError for an option that is not alive."""
    if option not in block.options:
        raise ValueError(f"{option} is not alive")
    return Gate((block.index(option),))


def gates(blocks: Mapping[str, ChoiceBlock], draw: Draw) -> dict[str, Gate]:
    """slot -> Gate, drawn in the slots' order."""
    return {name: draw(block) for name, block in blocks.items()}


def _noise(block: ChoiceBlock, random: torch.Generator) -> torch.Tensor:
    """Gumbel(0, 1), one for each option."""
    uniform = torch.rand(len(block.names), generator=random).clamp(1e-9, 1 - 1e-7)
    return -torch.log(-torch.log(uniform))


def _one_hot(chosen: int, soft: torch.Tensor) -> torch.Tensor:
    """Exactly one-hot, with the slope of `soft`."""
    hard = torch.zeros_like(soft)
    hard[chosen] = 1.0
    return hard + (soft - soft.detach())


def _drawable(block: ChoiceBlock) -> torch.Tensor:
    """Probabilities (N,), never so small that nothing but one option could be drawn."""
    alive = torch.tensor([name in block.options for name in block.names])
    return block.probs().detach().clamp(min=1e-12) * alive
