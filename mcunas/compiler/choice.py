# SPDX-License-Identifier: Apache-2.0
"""A choice of kernel variants for one Graph on one core, as `mcunas tune` measures it and `--tuned` brings it back.

The file is JSON: readable, and an input of the build like the model itself, so that the same files give the same bytes.
"""
from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcunas.compiler.lower import candidates
from mcunas.errors import InputError
from mcunas.graph.ir import Graph

if TYPE_CHECKING:
    from mcunas.board import Board


@dataclass(frozen=True)
class Choice:
    """variants: op index of the Graph after the compiler's passes -> variant of its kernels.

    measured: (op index, variant) -> modelled cycles of the instructions counted in QEMU.
    fingerprint: of that Graph; "" = of any.
    """

    variants: Mapping[int, str]
    measured: Mapping[tuple[int, str], int] = field(default_factory=dict)
    core: str = ""
    optimize: str = ""
    fingerprint: str = ""

    @staticmethod
    def load(path: str | Path) -> Choice:
        """Raises InputError for a file that is not one."""
        try:
            data = json.loads(Path(path).read_text())
            layers = {int(layer["index"]): layer for layer in data["layers"]}
            measured = {(i, str(v)): int(count) for i, layer in layers.items() for v, count in layer["cycles"].items()}
            return Choice({i: str(layer["variant"]) for i, layer in layers.items()}, measured, str(data["core"]),
                          str(data["optimize"]), str(data["fingerprint"]))
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", str(path), "name a file that mcunas tune wrote") from None
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            raise InputError("is not a tuning", str(path), "name a file that mcunas tune wrote") from None

    @staticmethod
    def of_manifest(manifest: Mapping[str, Any]) -> Choice | None:
        """What a build chose; None where it has patches: its layers are then not those that a choice is for, and were
        chosen without one, as they would be again."""
        if manifest.get("patches"):
            return None
        return Choice({layer["index"]: layer["variant"] for layer in manifest["layers"] if layer["variant"]})

    def to_json(self, graph: Graph) -> dict[str, Any]:
        layers = [{"index": i, "kind": graph.ops[i].kind, "name": graph.tensors[graph.ops[i].outputs[0]].name,
                   "variant": variant,
                   "cycles": {v: n for (op, v), n in self.measured.items() if op == i}}
                  for i, variant in sorted(self.variants.items())]
        return {"core": self.core, "optimize": self.optimize, "fingerprint": self.fingerprint, "layers": layers}

    def check(self, graph: Graph, board: Board) -> Choice:
        """Itself. Raises InputError where it was made for another Graph or core, or names a variant there is not."""
        if self.fingerprint and (self.fingerprint, self.core) != (fingerprint(graph), board.cpu):
            raise InputError(f"the tuning is for another {'core' if self.core != board.cpu else 'model'}", graph.name,
                             "tune this model for this board again")
        for i, variant in self.variants.items():
            known = candidates(graph, graph.ops[i], board.isa) if 0 <= i < len(graph.ops) else {}
            if variant not in known:
                raise InputError(f"op {i} has no variant {variant!r}" + (f", only {', '.join(known)}" if known else ""),
                                 graph.name, "tune this model for this board again")
        return self


def fingerprint(graph: Graph) -> str:
    """sha256 over ops, shapes, scales and constants: equal for graphs that compile to the same code."""
    found = hashlib.sha256()
    for tensor in graph.tensors:
        scales = () if tensor.quant is None else (tensor.quant.scale.tobytes(), tensor.quant.zero_point.tobytes())
        found.update(repr((tensor.shape, tensor.dtype, scales)).encode())
        found.update(b"" if tensor.data is None else tensor.data.tobytes())
    found.update(repr([(op.kind, op.inputs, op.outputs, sorted(op.attrs.items())) for op in graph.ops]).encode())
    found.update(repr((graph.inputs, graph.outputs)).encode())
    return found.hexdigest()
