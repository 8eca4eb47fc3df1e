# SPDX-License-Identifier: Apache-2.0
"""What is searched: genes, what they mean as a Genotype, exact prices before any training, and what is wanted of figures."""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from mcunas.space import Genotype
from mcunas.space.factored import Genes, Point

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Figures = Mapping[str, float]
DRAWS = 32          # for one trial, of which none fits or is new


def _free(figures: Figures) -> float:
    return 0.0


@dataclass(frozen=True)
class Problem:
    """genotype: of a point. price: exact figures of a genotype, in the driver's process and without training.

    violation: of prices; above 0 the network is not evaluated. values: of all figures (prices and the evaluator's), what is
    to be made small or large, one per direction ("minimize" or "maximize").
    """

    genes: Genes
    genotype: Callable[[Point], Genotype]
    price: Callable[[Genotype], dict[str, float]]
    values: Callable[[Figures], tuple[float, ...]]
    directions: tuple[str, ...] = ("maximize",)
    violation: Callable[[Figures], float] = field(default=_free)

    def distributions(self) -> dict[str, BaseDistribution]:
        """As Optuna knows them: an ordered gene is the index of its value, another one its value."""
        from optuna.distributions import CategoricalDistribution, IntDistribution

        return {gene: IntDistribution(0, len(values) - 1) if gene in self.genes.ordered else CategoricalDistribution(values)
                for gene, values in self.genes.options.items()}

    def point(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Of a trial's parameters."""
        return {gene: values[params[gene]] if gene in self.genes.ordered else params[gene]
                for gene, values in self.genes.options.items()}

    def unseen(self, points: Iterable[Point], known: Collection[str | None]) -> Point:
        """The first point that fits and whose network's key is not known; where there is none in DRAWS, the last of them.
        points: one or more."""
        for point in islice(points, DRAWS):
            genotype = self.genotype(point)
            if genotype.key not in known and self.violation(self.price(genotype)) <= 0:
                break
        return point

    def params(self, point: Point) -> dict[str, Any]:
        """As a trial holds the point."""
        return {gene: values.index(point[gene]) if gene in self.genes.ordered else point[gene]
                for gene, values in self.genes.options.items()}
