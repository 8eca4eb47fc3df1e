# SPDX-License-Identifier: Apache-2.0
"""A space of networks, described in data: a stem, stages of slots, and which blocks a slot may take (spaces/*.toml).

A slot is called <stage>_<index> and has a Context: what stands before and behind it is fixed by the stages' widths, so
the price of an option does not depend on the other slots' options, but for what the compiler does across borders.
"""
from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mcunas.errors import InputError, did_you_mean
from mcunas.space.blocks import Context, refusal
from mcunas.space.genotype import Genotype
from mcunas.space.layers import Pair, down

FOLDER = Path(__file__).parent / "spaces"
INLINE = "space"        # a start whose options are the whole description
_MOST_SLOTS = 1000
_KEYS = {"input", "options", "stem", "stages", "head"}
_STEM = {"kernel", "channels", "stride"}
_STAGE = {"channels", "stride", "slots", "options"}


@dataclass(frozen=True)
class Slot:
    """options: those of the stage that can stand there, in the order in which they are described."""

    name: str
    context: Context
    options: tuple[str, ...]


@dataclass(frozen=True)
class Space:
    """A description on one input. start, changes: what a Genotype holds of it. input_shape: (H, W, C).

    stem: (kernel, channels, stride). slots: in the order in which they run. head: one of heads.HEADS.
    """

    start: str
    changes: dict[str, Any]
    input_shape: tuple[int, int, int]
    classes: int
    stem: tuple[Pair, int, Pair]
    slots: tuple[Slot, ...]
    head: str = "classes"

    @property
    def size(self) -> Pair:
        """(H, W) of the input."""
        return self.input_shape[:2]

    @property
    def outputs(self) -> int:
        """Channels that the head gets."""
        return self.slots[-1].context.outputs

    def slot(self, name: str) -> Slot:
        return next(s for s in self.slots if s.name == name)

    def genotype(self, choices: Mapping[str, str], widths: Mapping[str, int] | None = None) -> Genotype:
        """Raises InputError unless every slot has one of its options."""
        missing = [s.name for s in self.slots if choices.get(s.name) not in s.options]
        if missing or len(choices) != len(self.slots):
            raise InputError(f"not one option for each slot ({', '.join(missing) or 'there are more'})", where=self.start)
        return Genotype(self.start, self.changes, self.input_shape, self.classes, dict(widths or {}), dict(choices))

    def uniform(self, option: str) -> Genotype:
        """`option` everywhere; where it cannot stand, the first that can."""
        return self.genotype({s.name: option if option in s.options else s.options[0] for s in self.slots})


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def description(name: str) -> dict[str, Any]:
    """What a shipped space's file says. Raises InputError for an unknown one."""
    if name not in names():
        raise InputError(f"unknown space {name!r}", fix=f"use one of {', '.join(names())}")
    return copy.deepcopy(_read(FOLDER / f"{name}.toml"))


def space_for(input_shape: tuple[int, int, int], where: str = "", head: str = "classes") -> str:
    """The name of the space made for such inputs with that head, the first by alphabet. Raises InputError when none is."""
    for name in names():
        found = _read(FOLDER / f"{name}.toml")
        limits = found["input"]["height"], found["input"]["width"]
        is_inside = all(low <= n <= high for n, (low, high) in zip(input_shape, limits))
        if is_inside and found.get("head", "classes") == head:
            return name
    raise InputError(f"no space is made for inputs of {input_shape} (H, W, C) that ends with {head}", where=where,
                     fix=f"describe one in a .toml file, or name one of {', '.join(names())}")


def load(start: str, changes: dict[str, Any] | None, input_shape: tuple[int, int, int], classes: int,
         widths: Mapping[str, int] | None = None) -> Space:
    """A space on an input. start: a name, or the path of a .toml file, or INLINE with the description in `changes`.

    changes: of the description's top-level keys. widths: channels of stages by their names (s0, s1, ...) instead of the
    described ones. Raises InputError with what is wrong and where.
    """
    changes = json.loads(json.dumps(changes or {}))         # as a file holds them
    if start.endswith(".toml"):
        start, changes = INLINE, {**_toml(Path(start)), **changes}
    elif start != INLINE and start not in names():
        raise InputError(f"unknown space {start!r}", fix=did_you_mean(start, names()) + ", or a .toml file")
    described = changes if start == INLINE else {**_read(FOLDER / f"{start}.toml"), **changes}
    try:
        height, width, depth = input_shape
        return _space(start, changes, described, (height, width, depth), classes, widths or {})
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, IndexError) as error:
        raise InputError(f"not the description of a space ({type(error).__name__}: {error})", where=start,
                         fix="see mcunas/space/spaces/images.toml for one") from None


def of_genotype(genotype: Genotype) -> Space:
    return load(genotype.start, genotype.options, genotype.input_shape, genotype.classes, genotype.widths)


@cache
def _read(path: Path) -> dict[str, Any]:
    """A shipped one, which does not change."""
    return _toml(path)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(path)) from None
    except ValueError as error:
        raise InputError(f"is not TOML ({error})", where=str(path)) from None


def _demand_keys(found: dict[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(found) - known)
    if unknown:
        raise InputError(f"unknown key {unknown[0]!r}", where=where, fix=f"use {', '.join(sorted(known))}")


def _space(start: str, changes: dict[str, Any], described: dict[str, Any], shape: tuple[int, int, int], classes: int,
           widths: Mapping[str, int]) -> Space:
    _demand_keys(described, _KEYS, start)
    stem = described["stem"]
    _demand_keys(stem, _STEM, f"{start}, stem")
    kernel, stride, channels = tuple(stem["kernel"]), tuple(stem["stride"]), int(widths.get("stem", stem["channels"]))
    size, slots = down(shape[:2], stride), []
    for number, stage in enumerate(described["stages"]):
        name = f"s{number}"
        _demand_keys(stage, _STAGE, f"{start}, stage {name}")
        outputs = int(widths.get(name, stage["channels"]))
        if int(stage["slots"]) + len(slots) > _MOST_SLOTS:
            raise InputError(f"it has more than {_MOST_SLOTS} slots", where=start)
        for index in range(int(stage["slots"])):
            context = Context(size, channels, outputs, int(stage["stride"]) if index == 0 else 1)
            asked = stage.get("options", described.get("options", ()))
            options = tuple(o for o in asked if not refusal(o, context))
            if not options:
                raise InputError(f"none of the options {', '.join(asked)} can stand there", f"{start}, slot {name}_{index}")
            slots.append(Slot(f"{name}_{index}", context, options))
            size, channels = context.out_size, outputs
    if not slots:
        raise InputError("it has no slots", where=start)
    return Space(start, changes, shape, classes, (kernel, int(widths.get("stem", stem["channels"])), stride), tuple(slots),
                 described.get("head", "classes"))
