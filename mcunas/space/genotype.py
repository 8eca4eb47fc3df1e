# SPDX-License-Identifier: Apache-2.0
"""Genotype: the few numbers that define a network: which starting net, and the width of each channel group."""
from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from mcunas.atomic import write_file
from mcunas.errors import InputError

if TYPE_CHECKING:
    from torch import nn

STARTS = {"residual": "mcunas.space.residual:ResidualNet"}     # name -> module:class(in_channels, classes, **options)


@dataclass(frozen=True)
class Genotype:
    """start, options: the starting net and its arguments. widths: group name -> channels; empty = the dense net.

    input_shape: (H, W, C).
    """

    start: str
    options: dict
    input_shape: tuple[int, int, int]
    classes: int
    widths: dict[str, int]

    def build_dense(self) -> nn.Module:
        """The starting net with fresh weights. Raises InputError for an unknown one."""
        if self.start not in STARTS:
            raise InputError(f"unknown starting net {self.start!r}", fix=f"use one of {', '.join(sorted(STARTS))}")
        module, _, name = STARTS[self.start].partition(":")
        return getattr(import_module(module), name)(self.input_shape[2], self.classes, **self.options)

    def save(self, path: Path) -> None:
        write_file(path, json.dumps(asdict(self), indent=1) + "\n")

    @staticmethod
    def load(path: Path) -> Genotype:
        """Raises InputError when the file is not a genotype."""
        try:
            fields = json.loads(path.read_text())
            return Genotype(fields["start"], fields["options"], tuple(fields["input_shape"]), int(fields["classes"]),
                            {str(k): int(v) for k, v in fields["widths"].items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"not a genotype ({type(error).__name__})", where=str(path),
                             fix="give a genotype.json that a search wrote") from None
