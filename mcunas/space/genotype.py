# SPDX-License-Identifier: Apache-2.0
"""Genotype: the few numbers that define a network: which starting net, and the width of each channel group."""
from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from mcunas.atomic import write_file
from mcunas.errors import InputError
from mcunas.named import call_named

if TYPE_CHECKING:
    from torch import nn

# name -> module:class(in_channels, classes, size=(H, W), **options)
STARTS = {"residual": "mcunas.space.residual:ResidualNet", "separable": "mcunas.space.separable:SeparableNet",
          "plain": "mcunas.space.plain:PlainNet"}
OWN: dict[str, nn.Module] = {}      # given as objects in this process; name -> module


def weights_digest(model: nn.Module) -> str:
    """SHA-256 of names, shapes and values of all that `model` holds."""
    total = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        total.update(f"{name} {tuple(tensor.shape)}".encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def keep_model(model: nn.Module) -> str:
    """A name, known in this process, for a copy of `model`: its class and a digest of its weights."""
    name = f"{type(model).__name__}@{weights_digest(model)[:8]}"
    OWN[name] = copy.deepcopy(model).cpu()
    return name


@dataclass(frozen=True)
class Genotype:
    """start, options: the starting net and its arguments; or a user's own net, as module:function. widths: group name ->
    channels; empty = the dense net.

    input_shape: (H, W, C).
    """

    start: str
    options: dict
    input_shape: tuple[int, int, int]
    classes: int
    widths: dict[str, int]

    def build_dense(self) -> nn.Module:
        """The starting net with its first weights. Raises InputError for an unknown one."""
        if self.start in OWN:
            return copy.deepcopy(OWN[self.start])
        if ":" in self.start:
            return _module(call_named(self.start), self.start)
        if "@" in self.start:
            raise InputError(f"the network {self.start!r} was given as an object to another process",
                             fix="call mcunas.prune with it here too, or name it as module:function")
        if self.start not in STARTS:
            raise InputError(f"unknown starting net {self.start!r}",
                             fix=f"use one of {', '.join(sorted(STARTS))}, or module:function")
        module, _, name = STARTS[self.start].partition(":")
        size, depth = self.input_shape[:2], self.input_shape[2]
        try:
            return getattr(import_module(module), name)(depth, self.classes, size=size, **self.options)
        except (TypeError, ValueError) as error:
            raise InputError(f"it cannot be built with options {self.options} ({error})", where=self.start) from None

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


def _module(found: object, name: str) -> nn.Module:
    from torch import nn

    if not isinstance(found, nn.Module):
        raise InputError(f"it returns {type(found).__name__}, not a torch module", where=name)
    return found.cpu()
