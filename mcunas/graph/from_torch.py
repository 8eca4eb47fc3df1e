# SPDX-License-Identifier: Apache-2.0
"""torch module -> int8 Graph by calibration (NCHW -> NHWC once): ranges that images produce, then `to_int8`."""
from __future__ import annotations

import torch
from torch import fx, nn

from mcunas.graph.ir import Graph
from mcunas.graph.to_int8 import activation_quants, to_int8
from mcunas.graph.torch_lower import Lowered, lower


class _Observer(fx.Interpreter):
    """Runs the traced module and keeps the range of every node that is an activation of the Graph."""

    def __init__(self, lowered: Lowered) -> None:
        super().__init__(lowered.traced)
        self.ranges: dict[str, tuple[float, float]] = {}
        self.watched = set(lowered.node_of.values())

    def run_node(self, node: fx.Node) -> object:
        result = super().run_node(node)
        if node.name in self.watched and isinstance(result, torch.Tensor):
            low, high = self.ranges.get(node.name, (0.0, 0.0))
            self.ranges[node.name] = (min(low, float(result.min())), max(high, float(result.max())))
        return result


def calibrate(lowered: Lowered, inputs: torch.Tensor,
              input_quant: tuple[float, int] | None = None) -> dict[int, tuple[float, int]]:
    """tensor -> (scale, zero point) from the ranges that `inputs` (N, C, H, W) produce; shared scales are honoured."""
    observer = _Observer(lowered)
    with torch.no_grad():
        observer.run(inputs)
    return activation_quants(lowered.graph, {t: observer.ranges[node] for t, node in lowered.node_of.items()
                                             if node in observer.ranges}, input_quant)


def from_torch(module: nn.Module, inputs: torch.Tensor, input_quant: tuple[float, int] | None = None,
               name: str = "model") -> Graph:
    """Post-training quantization of `module` (evaluation mode) to an int8 Graph with batch size 1.

    inputs: calibration images (N, C, H, W), real values. input_quant: (scale, zero point) of the deployed input when
    the data format fixes it. Raises InputError naming the module path that is not supported.
    """
    module = module.eval()
    lowered = lower(module, inputs[:1], name)
    return to_int8(lowered, calibrate(lowered, inputs, input_quant))
