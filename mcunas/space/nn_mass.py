# SPDX-License-Identifier: Apache-2.0
"""NN-Mass, a capacity that needs no training, and scaling by it (Bhardwaj et al., arXiv 2208.08562, RAN-implicit).

NN-Mass is the sum over residual blocks of twice their width. MACs grow with width times width, so at equal MACs a narrower
and deeper network has more of it: depth is worth its price as long as blocks add their input.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator

from mcunas.space import space as spaces
from mcunas.space.blocks import find
from mcunas.space.genotype import SKIP, Genotype
from mcunas.space.space import Slot, Space

LEAST_WIDTH = 4
FINEST = 64             # steps from the narrowest to the described width


def nn_mass(genotype: Genotype) -> int:
    """Of a network in a space."""
    slots = spaces.of_genotype(genotype).slots
    return sum(2 * s.context.outputs for s in slots
               if s.context.keeps_shape and find(genotype.choices[s.name]).adds_input)


def scaled(space: Space, option: str, multiplier: float, depth: int) -> Genotype:
    """`option` in at most `depth` slots of each stage, all widths times `multiplier`. Slots that the option cannot fill, or
    that cannot be left out, take the first option that they have."""
    widths = {"stem": _width(space.stem[1], multiplier)}
    choices = {}
    for slot in space.slots:
        stage, index = _place(slot)
        widths[stage] = _width(slot.context.outputs, multiplier)
        wanted = option if index < depth else SKIP
        choices[slot.name] = wanted if wanted in slot.options else slot.options[0]
    return space.genotype(choices, widths)


def scalings(space: Space, option: str, fits: Callable[[Genotype], bool]) -> Iterator[tuple[int, float, Genotype]]:
    """(depth, multiplier, genotype): for each depth the widest that fits, narrowest depths left out where none does.

    The price is asked a handful of times for each depth, since it grows with the width.
    """
    for depth in range(1, 1 + max(_place(s)[1] + 1 for s in space.slots)):
        low, high = 0, FINEST
        while high > low:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(scaled(space, option, middle / FINEST, depth)) else (low, middle - 1)
        if low:
            yield depth, low / FINEST, scaled(space, option, low / FINEST, depth)


def _width(described: int, multiplier: float) -> int:
    return max(min(LEAST_WIDTH, described), round(described * multiplier))


def _place(slot: Slot) -> tuple[str, int]:
    stage, _, index = slot.name.rpartition("_")
    return stage, int(index)
