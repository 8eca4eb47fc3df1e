# SPDX-License-Identifier: Apache-2.0
"""How closely a network is looked at, and what looks: an evaluator is (genotype, fidelity, seed) -> figures, anywhere.

An ask/tell method sees nothing of a network but its Genotype and these figures.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mcunas.errors import InputError
from mcunas.space import Genotype

KINDS = ("supernet", "remapped", "scratch", "int8", "board")
Figures = dict[str, float]


@dataclass(frozen=True)
class Fidelity:
    """How closely a network is looked at.

    kind: "supernet": given weights, batch norms of its own, no training. "remapped": given weights, then `epochs`.
    "scratch": first weights, then `epochs`. "int8": trained as scratch or, where weights are given, remapped, quantized
    without further training, and judged by the integer arithmetic of the deployed network. "board": the same, built as
    firmware and judged by what the board's core answers in QEMU, which gives its instructions and cycles too.
    images: of the validation split, the first ones; None = all.
    """

    kind: str = "scratch"
    epochs: int = 2
    images: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"unknown fidelity {self.kind!r}", fix=f"use one of {', '.join(KINDS)}")


class Evaluator(Protocol):
    """Can be pickled, draws by the seed alone, and runs on one torch thread: another number would sum in another order.

    `accuracy`, `samples` (seen in training) and `cpu_seconds` are always among the figures.
    """

    def __call__(self, genotype: Genotype, fidelity: Fidelity, seed: int) -> Figures: ...
