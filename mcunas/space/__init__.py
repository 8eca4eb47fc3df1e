# SPDX-License-Identifier: Apache-2.0
"""Networks to search in: starting nets, spaces of blocks with their supernet, and the genotype that names one network.

    genotype.py    Genotype: the one type that every method reads and writes
    blocks/        what a slot may take, by name; layers.py: the layer that all are made of
    spaces/*.toml  spaces as data; space.py reads them; net.py builds a genotype's network
    choice.py      ChoiceBlock and Gate; sampling.py: how gates are drawn; width.py: WidthChoice
    supernet.py    Supernet: all choices at once, shared weights, extract, kill
    price.py       exact and expected prices on a board
"""
from mcunas.space.genotype import STARTS, Genotype

__all__ = ["STARTS", "Genotype"]
