# SPDX-License-Identifier: Apache-2.0
"""Random networks of one block: depth and proportions are drawn, the width is what the wanted cost allows.

Costs are log-uniform in a range that all blocks share, so that their fronts overlap (pruning-methods.md section 7).
"""
from __future__ import annotations

import math
from copy import deepcopy
from typing import Any

import numpy as np

from mcunas.board import Board
from mcunas.cost import Cost, estimate
from mcunas.device.alone import simulated
from mcunas.errors import InputError
from mcunas.space import Genotype
from mcunas.space import space as spaces
from mcunas.space.price import graph_of

SLOTS = (1, 3)              # per stage
PROPORTION = 0.35           # deviation of a stage's channels from the space's, in logarithm
NARROWEST, WIDEST = 0.1, 4.0
CHANNELS = 2                # widths are multiples of it: a ghost block has halves
TOLERANCE = 0.1             # of the wanted cycles
TRIES = 12                  # other depths and proportions
HALVINGS = 7
FALLBACKS = ("ds3", "conv3x3")      # where the block cannot stand


def sample(block: str, count: int, cycles: tuple[float, float], description: dict[str, Any],
           input_shape: tuple[int, int, int], classes: int, board: Board, seed: int) -> list[tuple[Genotype, Cost]]:
    """`count` networks and their prices on `board`, whose cycles spread log-uniformly over the range `cycles`.

    description: of a space; its stem, channels and strides are the proportions that are drawn around.
    Raises InputError when the range holds no network of that block.
    """
    random, found = np.random.default_rng([seed, *block.encode()]), []
    low, high = map(math.log, cycles)
    for index in range(count):
        wanted = math.exp(low + (high - low) * (index + random.random()) / count)      # one in each part
        for _ in range(TRIES):
            near = _near(block, wanted, _shape(description, random), input_shape, classes, board)
            if near is not None:
                found.append(near)
                break
        else:
            raise InputError(f"no network of {block} takes about {wanted:,.0f} cycles", where=board.key,
                             fix="choose another range of cycles")
    return found


def described(input_shape: tuple[int, int, int], start: str | None = None) -> dict[str, Any]:
    """The description of a shipped space, by default of the one made for such inputs, without its options."""
    found = spaces.description(start or spaces.space_for(input_shape))
    return {key: value for key, value in found.items() if key in ("stem", "stages")}


def priced(genotype: Genotype, board: Board) -> Cost:
    """Exact, of the deployed Graph."""
    height, width, depth = genotype.input_shape
    return estimate(graph_of(genotype.build_dense(), (height, width), depth), board, rewrite=False,
                    simulator=simulated)


def _shape(description: dict[str, Any], random: np.random.Generator) -> dict[str, Any]:
    """The description with other depths and proportions."""
    drawn = deepcopy(description)
    for stage in drawn["stages"]:
        stage["slots"] = int(random.integers(SLOTS[0], SLOTS[1] + 1))
        stage["channels"] *= math.exp(PROPORTION * random.standard_normal())
    return drawn


def _near(block: str, wanted: float, drawn: dict[str, Any], input_shape: tuple[int, int, int], classes: int,
          board: Board) -> tuple[Genotype, Cost] | None:
    """The width at which the drawn network takes the wanted cycles, by halving the logarithm; None if none comes near."""
    low, high, known = math.log(NARROWEST), math.log(WIDEST), {}
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        genotype = _genotype(block, drawn, math.exp(middle), input_shape, classes)
        cost = known[genotype] = known.get(genotype) or priced(genotype, board)
        if abs(cost.cycles / wanted - 1) <= TOLERANCE:
            return genotype, cost
        low, high = (middle, high) if cost.cycles < wanted else (low, middle)
    return None


def _genotype(block: str, drawn: dict[str, Any], width: float, input_shape: tuple[int, int, int], classes: int) -> Genotype:
    at = deepcopy(drawn)
    at["stem"]["channels"] = _rounded(width * at["stem"]["channels"])
    for stage in at["stages"]:
        stage["channels"] = _rounded(width * stage["channels"])
    at["options"] = list(dict.fromkeys((block, *FALLBACKS)))
    at.pop("input", None)
    return spaces.load(spaces.INLINE, at, input_shape, classes).uniform(block)


def _rounded(channels: float) -> int:
    return max(CHANNELS, CHANNELS * round(channels / CHANNELS))
