# SPDX-License-Identifier: Apache-2.0
"""Which block to build with, before any search: random networks of each block, trained alike, and their fronts per board
(Bonnaerens et al., Applied Sciences 12(24):12615).

    sample.py    networks of one block whose cycles spread evenly over a range, in logarithm
    compare.py   train them all, on any executor; price them on every board; what is done is kept
    fronts.py    the envelope of accuracy over cost, its hypervolume, intervals by bootstrap
    verdict.py   which blocks are worth a search on which board; read back by `mcunas search --blocks-from`
"""
