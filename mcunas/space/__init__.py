# SPDX-License-Identifier: Apache-2.0
"""Networks to search in: starting nets and the genotype that names one of their sub-networks."""
from mcunas.space.genotype import STARTS, Genotype

__all__ = ["STARTS", "Genotype"]
