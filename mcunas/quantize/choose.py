# SPDX-License-Identifier: Apache-2.0
"""What precision a model's weights are to have, and the bits of each layer that follow."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from mcunas.errors import InputError

if TYPE_CHECKING:
    from mcunas.board import Board
    from mcunas.graph.ir import Graph
    from mcunas.quantize.precision import Layer
    from mcunas.quantize.qat import FakeQuantized
    from mcunas.search.result import Result
    from mcunas.tasks import Task

MODES, WAYS = ("int8", "int4", "auto"), ("hessian", "loss", "gradient")
SEARCH_EPOCHS = 2           # of learning bits by gradient
BATCH = 256                 # images on which sensitivities are measured
_MARGIN = 0.995             # of the flash: training may change how a layer rounds, and so a few bytes


@dataclass(frozen=True)
class Precision:
    """mode: "int8" or "int4" throughout, or "auto": int8 but where the flash is short. by: what tells the layers that can
    best do with int4: "hessian" or "loss" (quantize/sensitivity.py), "gradient" (quantize/bit_search.py). flash_bytes: of
    the model; None = the search's budget, or what the board has. bits: module path -> 4 or 8, given by hand."""

    mode: str = "int8"
    by: str = "hessian"
    flash_bytes: int | None = None
    bits: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value, known in (("precision", self.mode, MODES), ("by", self.by, WAYS)):
            if value not in known:
                raise InputError(f"there is no {name} {value!r}", fix=f"choose one of {', '.join(known)}")

    @property
    def is_plain(self) -> bool:
        return self.mode == "int8" and not self.bits

    def words(self) -> str:
        """What tells two of them apart, "" for int8 throughout."""
        return "" if self.is_plain else f"/{sorted(asdict(self).items())}"


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

    if asked.is_plain or asked.bits:
        bits = quantized.bits if asked.is_plain else dict(asked.bits)
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
    import torch

    from mcunas.quantize import sensitivity
    from mcunas.tasks.training import batches

    paths, images = [layer.path for layer in layers], torch.from_numpy(task.real(task.train.images[:BATCH]))
    labels, loss = torch.from_numpy(task.train.labels[:BATCH]), partial(task.objective.loss, plain=True)
    if by == "hessian":
        return dict(zip(paths, sensitivity.by_hessian(quantized.folded, paths, images, labels, result.seed, loss)))
    if by == "loss":
        return dict(zip(paths, sensitivity.by_loss(quantized.folded, paths, images, labels, loss)))
    from mcunas.quantize.bit_search import FIRST_EPOCH, by_gradient

    epochs = (batches(task, result.schedule, result.seed, FIRST_EPOCH + n) for n in range(SEARCH_EPOCHS))
    return dict(by_gradient(quantized, layers, table_bytes, epochs, result.schedule.qat_rate, loss))
