# SPDX-License-Identifier: Apache-2.0
"""What all jobs of a search share, its evaluator with the data: a worker gets it once, a job carries its name."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mcunas.search.asktell.fidelity import Evaluator, Fidelity, Figures
from mcunas.space import Genotype

HELD: dict[str, Evaluator] = {}         # of a worker's process


@dataclass(frozen=True)
class Held:
    """An evaluator in the place of the one that a worker holds under this name."""

    name: str

    def __call__(self, genotype: Genotype, fidelity: Fidelity, seed: int) -> Figures:
        return HELD[self.name](genotype, fidelity, seed)


def hold(name: str, evaluator: Any) -> None:
    HELD[name] = evaluator


def let_go(name: str) -> None:
    HELD.pop(name, None)
