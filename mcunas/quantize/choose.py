# SPDX-License-Identifier: Apache-2.0
"""What precision a model's weights and activations are to have, and the bits of each layer that follow."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from mcunas.errors import InputError

if TYPE_CHECKING:
    import torch

    from mcunas.board import Board
    from mcunas.graph.ir import Graph
    from mcunas.quantize.precision import Layer
    from mcunas.quantize.qat import FakeQuantized
    from mcunas.search.result import Result
    from mcunas.tasks import Task

MODES, WAYS = ("int8", "int4", "auto"), ("hessian", "loss", "gradient")
ACTIVATIONS = ("int8", "int16", "auto")
REPORT, CHECKPOINT = "quantize.json", "quantize.pt"     # of a folder
SEARCH_EPOCHS = 2           # of learning bits by gradient
BATCH = 256                 # images on which sensitivities are measured
_MARGIN = 0.995             # of the flash: training may change how a layer rounds, and so a few bytes


@dataclass(frozen=True)
class Precision:
    """mode: "int8" or "int4" throughout, or "auto": int8 but where the flash is short. by: what tells the layers that can
    best do with int4: "hessian" or "loss" (quantize/sensitivity.py), "gradient" (quantize/bit_search.py). flash_bytes: of
    the model; None = the search's budget, or what the board has. bits: module path -> 4 or 8, given by hand.

    activations: "int8", "int16" wherever that can be, or "auto": int16 where the loss asks for it (activations.py); "" is
    "auto" with the mode "auto", else "int8". wide: names of tensors that are int16, given by hand (FakeQuantized.can_be_wide
    has them); then activations says nothing."""

    mode: str = "int8"
    by: str = "hessian"
    flash_bytes: int | None = None
    bits: Mapping[str, int] = field(default_factory=dict)
    activations: str = ""
    wide: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value, known in (("precision", self.mode, MODES), ("by", self.by, WAYS),
                                   ("precision of activations", self.activations or "auto", ACTIVATIONS)):
            if value not in known:
                raise InputError(f"there is no {name} {value!r}", fix=f"choose one of {', '.join(known)}")

    @property
    def is_plain(self) -> bool:
        return self.mode == "int8" and not self.bits and self.activations in ("", "int8") and not self.wide

    def words(self) -> str:
        """What tells two of them apart, "" for int8 throughout."""
        said = {name: value for name, value in asdict(self).items() if value or name not in ("activations", "wide")}
        return "" if self.is_plain else f"/{sorted(said.items())}"


def layers_of(quantized: FakeQuantized, board: Board) -> tuple[Graph, tuple[Layer, ...]]:
    """(the int8 Graph, its layers that can have int4 weights). quantized: int8 throughout."""
    from mcunas.quantize import precision

    graph = quantized.export()
    names = {quantized.lowered.graph.tensors[w].name: path for w, (path, _) in quantized.lowered.weight_of.items()}
    return graph, precision.layers_of(graph, board, names)


def bits_of(asked: Precision, quantized: FakeQuantized, result: Result, task: Task) -> tuple[dict[str, int], dict[str, Any]]:
    """(module path -> bits, what led there). quantized: fresh, with the bits that the network itself says; only a plain
    precision leaves them. Raises DoesNotFit, InputError."""
    from mcunas.quantize import precision

    if asked.mode == "int8" or asked.bits:
        bits = dict(asked.bits) or quantized.bits
        return bits, {"bits": bits}
    if quantized.bits:
        raise InputError("the search has chosen the bits of this network's weights", where=str(result.out),
                         fix="leave the precision out")
    board, (graph, layers) = result.board, layers_of(quantized, result.board)
    if asked.mode == "int4":
        bits = {layer.path: 4 for layer in layers}
        return bits, {"bits": bits}
    limit = asked.flash_bytes or result.budget.for_board(board).flash_bytes
    fixed = precision.flash_of(graph, board, layers, {}) - sum(layer.table_bytes[8] for layer in layers)
    sensitivity = sensitivity_of(asked.by, quantized, layers, result, task, max(limit - fixed, 1))
    loss = [sensitivity[layer.path] for layer in layers]
    bits = precision.allocate(graph, board, layers, loss, int(limit * _MARGIN))
    return bits, {"by": asked.by, "bits": bits, "sensitivity": sensitivity, "limit_bytes": limit,
                  "int8_flash_bytes": precision.flash_of(graph, board, layers, {})}


def sensitivity_of(by: str, quantized: FakeQuantized, layers: Sequence[Layer], result: Result, task: Task,
                   table_bytes: int) -> dict[str, float]:
    """module path -> what int4 costs that layer. table_bytes: that the layers' tables may take, which "gradient" aims at;
    it leaves `quantized` of no further use."""
    from mcunas.quantize import sensitivity
    from mcunas.tasks.training import batches

    paths, (images, labels) = [layer.path for layer in layers], _batch(task)
    loss = partial(task.objective.loss, plain=True)
    if by == "hessian":
        return dict(zip(paths, sensitivity.by_hessian(quantized.folded, paths, images, labels, result.seed, loss)))
    if by == "loss":
        return dict(zip(paths, sensitivity.by_loss(quantized.folded, paths, images, labels, loss)))
    from mcunas.quantize.bit_search import FIRST_EPOCH, by_gradient

    epochs = (batches(task, result.schedule, result.seed, FIRST_EPOCH + n) for n in range(SEARCH_EPOCHS))
    return dict(by_gradient(quantized, layers, table_bytes, epochs, result.schedule.qat_rate, loss))


def wide_of(asked: Precision, fresh: Callable[[], FakeQuantized], bits: Mapping[str, int], result: Result, task: Task
            ) -> tuple[tuple[str, ...], dict[str, Any]]:
    """(names of the tensors that are int16, what led there). fresh: the network with these bits, int8 otherwise. Where
    the flash asks for int4 weights, "auto" leaves all activations int8. Raises InputError."""
    from mcunas.quantize import activations

    way = asked.activations or ("auto" if asked.mode == "auto" else "int8")
    if asked.wide or way == "int8" or (way == "auto" and 4 in bits.values()):
        return asked.wide, {"int16": list(asked.wide)} if asked.wide else {}
    quantized = fresh()
    if way == "int16":
        names = tuple(quantized.can_be_wide)
        return names, {"int16": list(names)}
    x, labels = _batch(task)
    limits, graph = result.budget.for_board(result.board), quantized.export()
    chosen, facts = activations.needed(quantized, x, labels, partial(task.objective.loss, plain=True),
                                       lambda names: activations.fits(graph, names, result.board, limits))
    return tuple(chosen), {"int16": chosen, "activations": facts}


def _batch(task: Task) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (N, C, H, W) and labels on which sensitivities are measured."""
    import torch

    return torch.from_numpy(task.real(task.train.images[:BATCH])), torch.from_numpy(task.train.labels[:BATCH])
