# SPDX-License-Identifier: Apache-2.0
"""Genotype: the few names and numbers that define a network. Every method reads and writes this one type.

It begins either with a starting net, whose channel groups have widths, or with a space (space.py), whose slots have taken
options; what a search in a space found can be pruned, so one genotype may hold both.
"""
from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcunas.atomic import write_file
from mcunas.errors import InputError, did_you_mean
from mcunas.named import call_named

if TYPE_CHECKING:
    import torch
    from torch import nn

# name -> module:class(in_channels, classes, size=(H, W), **options)
STARTS = {"residual": "mcunas.space.residual:ResidualNet", "separable": "mcunas.space.separable:SeparableNet",
          "plain": "mcunas.space.plain:PlainNet", "detector": "mcunas.space.detector:DetectorNet",
          "upscaler": "mcunas.space.upscaler:UpscalerNet"}
SKIP = "skip"               # the option that leaves a slot out
_SIDE, _MASK, _DEPTH = 1 << 20, 1 << 60, 20     # more than any network has: of sizes and widths, of masks, of nested options
OWN: dict[str, nn.Module] = {}      # given as objects in this process; name -> module


def weights_digest(model: nn.Module) -> str:
    """SHA-256 of names, shapes and values of all that `model` holds."""
    import torch

    total = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        content = tensor.detach().cpu().flatten().view(torch.uint8)     # numpy has no bfloat16
        total.update(f"{name} {tuple(tensor.shape)}".encode() + content.numpy().tobytes())
    return total.hexdigest()


def keep_model(model: nn.Module) -> str:
    """A name, known in this process, for a copy of `model`: its class and a digest of its weights. Raises InputError."""
    name = f"{type(model).__name__}@{weights_digest(model)[:8]}"
    try:
        OWN[name] = copy.deepcopy(model).cpu()
    except Exception as error:      # modules with hooks like weight_norm's refuse it
        raise InputError(f"it cannot be copied ({type(error).__name__}: {error})", where=type(model).__name__) from None
    return name


@dataclass(frozen=True)
class Genotype:
    """start, options: the starting net and its arguments; or a user's own net, as module:function; or a space and what is
    changed in its description. input_shape: (H, W, C).

    widths: channels of a group of the net, or of a stage or inside a block of the space; those left out are as wide as
    the net, or the space, has them. choices: slot of a space, or cell of a net (cells.py), -> option. branches:
    branch set -> bit-mask of those that are kept.
    Always canonical: in a stage, what is skipped stands last, since leaving out one or another of equal slots is the
    same network.
    """

    start: str
    options: dict
    input_shape: tuple[int, int, int]
    classes: int
    widths: dict[str, int] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)
    branches: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        moved = moved_slots(self.choices)
        for name in ("choices", "widths", "branches"):
            of = {moved.get(key, key): value for key, value in getattr(self, name).items()}
            object.__setattr__(self, name, dict(sorted(of.items())))

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def key(self) -> str:
        """SHA-256 of the canonical JSON: equal for equal networks."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def fields(self) -> dict[str, Any]:
        """As a file holds them; without choices and branches where there are none."""
        return {name: value for name, value in asdict(self).items() if value or name not in ("choices", "branches")}

    def to_json(self) -> str:
        """Canonical: keys sorted, no spaces."""
        return json.dumps(self.fields(), sort_keys=True, separators=(",", ":"))

    @property
    def is_of_space(self) -> bool:
        """Whether `start` names a space, in which `choices` are made."""
        return bool(self.choices) and not self.is_of_net

    @property
    def is_of_net(self) -> bool:
        """Whether `start` names a net."""
        return self.start in STARTS or self.start in OWN or ":" in self.start or "@" in self.start

    def build_dense(self) -> nn.Module:
        """The starting net, or the space's net of these choices, with its first weights. Raises InputError for an unknown
        one."""
        if self.is_of_space:
            from mcunas.space.net import net_of

            return net_of(self)
        if self.choices:
            from mcunas.space.cells import rebuilt

            return rebuilt(self._start(), self.input_shape, self.choices, self.widths)
        return self._start()

    def _start(self) -> nn.Module:
        if self.start in OWN:
            return _in_any_order(copy.deepcopy(OWN[self.start]), self.input_shape)
        if ":" in self.start:
            return _in_any_order(_module(call_named(self.start), self.start), self.input_shape)
        if "@" in self.start:
            raise InputError(f"the network {self.start!r} was given as an object to another process",
                             fix="call mcunas.prune with it here too, or name it as module:function")
        if self.start not in STARTS:
            raise InputError(f"unknown starting net {self.start!r}",
                             fix=did_you_mean(self.start, sorted(STARTS)) + ", or module:function")
        module, _, name = STARTS[self.start].partition(":")
        size, depth = self.input_shape[:2], self.input_shape[2]
        try:
            return getattr(import_module(module), name)(depth, self.classes, size=size, **self.options)
        except (TypeError, ValueError) as error:
            raise InputError(f"it cannot be built with options {self.options} ({error})", where=self.start) from None

    def save(self, path: Path) -> None:
        write_file(path, json.dumps(self.fields(), indent=1) + "\n")

    @staticmethod
    def of_fields(fields: dict[str, Any]) -> Genotype:
        """What `fields` gave. Raises ValueError, KeyError, TypeError or AttributeError."""
        start, options = fields["start"], fields["options"]
        height, width, depth = (_count(n, _SIDE) for n in fields["input_shape"])
        if not isinstance(start, str) or not isinstance(options, dict) or _depth(options) > _DEPTH:
            raise TypeError("start, options")
        return Genotype(start, options, (height, width, depth), _count(fields["classes"], _SIDE),
                        {str(k): _count(v, _SIDE) for k, v in fields["widths"].items()},
                        {str(k): str(v) for k, v in fields.get("choices", {}).items()},
                        {str(k): _count(v, _MASK) for k, v in fields.get("branches", {}).items()})

    @staticmethod
    def load(path: Path) -> Genotype:
        """Raises InputError when the file is not a genotype."""
        try:
            return Genotype.of_fields(json.loads(path.read_text(), parse_constant=_finite, parse_float=_finite))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"not a genotype ({type(error).__name__})", where=str(path),
                             fix="give a genotype.json that a search wrote") from None


def _count(value: Any, most: int) -> int:
    """Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"{value!r} is not a count")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a number")
    return value


def _depth(value: Any) -> int:
    """Of lists and tables in each other."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


def moved_slots(choices: Mapping[str, str]) -> dict[str, str]:
    """slot -> its canonical place: within a stage those that are skipped come last, the others keep their order.

    A slot is called <stage>_<index>. One that may be skipped keeps its input's shape, and so do those behind it in the
    stage: each of them can stand where another stood. A name without an index is a stage by itself.
    """
    stages: dict[str, list[tuple[int, str]]] = {}
    for slot in choices:
        stage, _, index = slot.rpartition("_")
        stages.setdefault(stage or slot, []).append((int(index) if stage else 0, slot))
    moved = {}
    for members in stages.values():
        places = [slot for _, slot in sorted(members)]
        moved |= dict(zip(sorted(places, key=lambda slot: choices[slot] == SKIP), places))
    return moved


def _module(found: object, name: str) -> nn.Module:
    from torch import nn

    if not isinstance(found, nn.Module):
        raise InputError(f"it returns {type(found).__name__}, not a torch module", where=name)
    return found.cpu()


def _in_any_order(net: nn.Module, input_shape: tuple[int, int, int]) -> nn.Module:
    """The same, which takes images of one channel as tasks hold them: channels last, what convolutions then answer in and a
    `view` of the answer refuses."""
    import torch

    if input_shape[2] == 1:
        try:
            with torch.no_grad():
                copy.deepcopy(net).eval()(torch.zeros(2, *input_shape).permute(0, 3, 1, 2))
        except Exception as error:          # another one is told where the network is matched with the data
            if "view size is not compatible" in str(error):
                net.register_forward_pre_hook(_in_plain_order)
    return net


def _in_plain_order(net: nn.Module, given: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
    import torch

    return (given[0].clone(memory_format=torch.contiguous_format),)
