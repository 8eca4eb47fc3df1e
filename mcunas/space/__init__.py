# SPDX-License-Identifier: Apache-2.0
"""Networks to search in: starting nets, spaces of blocks with their supernet, and the genotype that names one network.

    genotype.py    Genotype: the one type that every method reads and writes
    blocks/        what a slot may take, by name; layers.py: the layer that all are made of
    spaces/*.toml  spaces as data; space.py reads them; net.py builds a genotype's network
    choice.py      ChoiceBlock and Gate; sampling.py: how gates are drawn
    supernet.py    Supernet: all choices at once, shared weights, extract, kill
    price.py       exact and expected prices on a board; explain.py prints them
    bipath.py      a width searched by two copies of a block; hidden.py: cutting and growing the axis inside it
    tiered.py      the supernet with such widths and one depth per stage; tiers.py: what may go while a search runs;
                   inner_price.py: what those widths cost
    cells.py       any network as exchangeable pieces in a row; ghosting.py: ghostify, C-Ghost for a network that there is
    branches/      linear branches while a convolution trains, fused to it in the end
    nn_mass.py     a capacity that needs no training; width traded for depth
    evolution.py   NSGA-II over options; evidence.py: what a population says about them
"""
from typing import Any

from mcunas.space.genotype import STARTS, Genotype

__all__ = ["STARTS", "Genotype", "ghostify"]


def __getattr__(name: str) -> Any:
    """`ghostify` needs torch, which takes seconds to import."""
    if name != "ghostify":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mcunas.space.ghosting import ghostify

    return ghostify
