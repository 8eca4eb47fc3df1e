# SPDX-License-Identifier: Apache-2.0
"""A factorized hierarchical space: a few genes per stage, all layers of a stage alike (MnasNet, arXiv 1807.11626).

Per stage: the operation, its kernel, how many layers, the width as a factor of the described one, and whether layers add
their input. A point (gene -> value) is a Genotype of an ordinary Space whose slots hold the most layers; points that say
the same network give the same Genotype.
"""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from mcunas.errors import InputError
from mcunas.space import space as spaces
from mcunas.space.blocks import refusal
from mcunas.space.blocks.context import Context
from mcunas.space.genotype import SKIP, Genotype
from mcunas.space.space import Space

Value = Any                         # str, int or float: what a factor counts or names
Point = Mapping[str, Value]         # gene -> value

# factor -> its values in every stage; "layers" is up to the stage's slots.
MNASNET = {"op": ("conv", "ds", "mb3", "mb6"), "kernel": (3, 5), "width": (0.75, 1.0, 1.25), "shortcut": ("no", "yes")}
FAMILIES = {"op": ("conv", "ds", "mb2", "mb4", "ghost"), "width": (0.5, 0.75, 1.0, 1.25)}
ORDERED = ("kernel", "layers", "width")
NAMED = ("op", "shortcut")
EVEN = 2            # widths are multiples of it: a ghost block has halves


@dataclass(frozen=True)
class Genes:
    """options: gene -> its values. ordered: genes whose values have an order, in which they stand."""

    options: Mapping[str, tuple[Value, ...]]
    ordered: frozenset[str] = frozenset()

    def points(self) -> list[dict[str, Value]]:
        """All of them."""
        return [dict(zip(self.options, values)) for values in product(*self.options.values())]

    @property
    def count(self) -> int:
        return prod(map(len, self.options.values()))


class Factored:
    """The networks of a Space's stem and stages. space: its slots are the most layers; its options are replaced."""

    def __init__(self, space: Space, factors: Mapping[str, Sequence[Value]]) -> None:
        """factors: "op" (conv, ds, ghost, mb<expansion>), "kernel", "width", "shortcut", "layers"; one left out has its
        plain value, and layers are all that the stage has room for.

        Raises InputError for a factor or a value that there is not.
        """
        unknown = sorted(set(factors) - {"op", "kernel", "width", "shortcut", "layers"})
        if unknown or not factors.get("op"):
            raise InputError(f"not factors of a space: {', '.join(unknown) or 'without op'}", where=space.start)
        for name, values in factors.items():
            if not isinstance(values, list | tuple) or not values or not all(_is_one(value, name) for value in values):
                raise InputError(f"the factor {name} cannot be {values!r}", where=space.start,
                                 fix=f"give a list of {'names' if name in NAMED else 'positive numbers'}")
        self.stages: dict[str, list[Context]] = {}
        for slot in space.slots:
            self.stages.setdefault(slot.name.partition("_")[0], []).append(slot.context)
        self.factors = {name: tuple(values) for name, values in factors.items() if name != "layers"}
        names = sorted({block_name(op, k, s) for op in self.factors["op"] for k in self.factors.get("kernel", (3,))
                        for s in self._shortcuts(op)} | {block_name(op, 3, s) for op in self.factors["op"]
                                                         for s in self._shortcuts(op)})
        options = [*names, SKIP]
        described = dict(space.changes) | {"options": options}
        if "stages" in described:
            described["stages"] = [{k: v for k, v in s.items() if k != "options"} for s in described["stages"]]
        self.space = spaces.load(space.start, described, space.input_shape, space.classes)
        genes: dict[str, tuple[Value, ...]] = {}
        for stage, contexts in self.stages.items():
            for name, values in self.factors.items():
                genes[f"{stage}.{name}"] = values
            room = range(1, len(contexts) + 1)
            genes[f"{stage}.layers"] = tuple(n for n in factors.get("layers", room) if n in room) or (len(contexts),)
        ordered = frozenset(g for g in genes if g.partition(".")[2] in ORDERED)
        self.genes = Genes({g: v for g, v in genes.items() if len(v) > 1}, ordered)
        self._fixed = {g: v[0] for g, v in genes.items() if len(v) == 1}

    def _shortcuts(self, op: str) -> tuple[Value, ...]:
        return self.factors.get("shortcut", ("yes" if op.startswith("mb") else "no",))

    def genotype(self, point: Point) -> Genotype:
        """Raises InputError for a point of another space."""
        choices, widths = {}, {}
        before = self.space.stem[1]
        try:
            for stage, contexts in self.stages.items():
                of = {name: {**self._fixed, **point}[f"{stage}.{name}"] for name in (*self.factors, "layers")}
                width = max(EVEN, round(contexts[0].outputs * of.get("width", 1.0) / EVEN) * EVEN)
                widths[stage] = width
                for index, context in enumerate(contexts):
                    own = Context(context.size, before if index == 0 else width, width, context.stride)
                    choices[f"{stage}_{index}"] = SKIP if index >= of["layers"] else self._block(of, own)
                before = width
        except KeyError as error:
            raise InputError(f"the point lacks {error}", where=self.space.start) from None
        return self.space.genotype(choices, widths)

    def _block(self, of: Mapping[str, Value], context: Context) -> str:
        """The block's name there: without a shortcut where nothing can be added, and 3x3 where 5x5 cannot stand."""
        op = str(of["op"])
        shortcut = of.get("shortcut", "yes" if op.startswith("mb") else "no") if context.keeps_shape else "plain"
        name = block_name(op, int(of.get("kernel", 3)), str(shortcut))
        return name if not refusal(name, context) else block_name(op, 3, str(shortcut))


def _is_one(value: Value, factor: str) -> bool:
    """Whether a factor can have the value."""
    if factor in NAMED or isinstance(value, bool):
        return isinstance(value, str) and factor in NAMED
    return isinstance(value, int | float if factor == "width" else int) and 0 < value < math.inf


def block_name(op: str, kernel: int, shortcut: str) -> str:
    """shortcut: "yes", "no", or "plain" where shapes differ."""
    if op.startswith("mb"):
        return f"mb{kernel}_e{op[2:]}" + ("_no" if shortcut == "no" else "")
    name = {"conv": f"conv{kernel}x{kernel}", "ds": f"ds{kernel}", "ghost": "ghost"}.get(op)
    if name is None:
        raise InputError(f"there is no operation {op!r}", fix="use conv, ds, ghost or mb<expansion>")
    return name + ("_id" if shortcut == "yes" else "")
