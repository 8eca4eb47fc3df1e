# SPDX-License-Identifier: Apache-2.0
"""Quantization-aware training on the deployed graph's own edges, and the exact hand-over of what was learned.

The folded network is lowered first; a quantizer then sits behind exactly those fx nodes that are tensors of the int8
Graph, one per class of tensors that must share a scale, of 8 bits or of 16 (graph/to_int16.py). NNCF places and
initialises; what it leaves out (the logits, for one) gets its quantizer here. Input and softmax-like outputs have fixed
scales and do not learn.
"""
from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from math import prod
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.nn.utils import parametrize

from mcunas.errors import InputError
from mcunas.graph.arithmetic import INT8_MIN
from mcunas.graph.from_torch import calibrate
from mcunas.graph.int16_functions import OUTPUT_SCALE
from mcunas.graph.ir import Graph, Op
from mcunas.graph.to_int8 import fixed_quants, scale_classes, to_int8, usual_quants
from mcunas.graph.to_int16 import STEPS, TOP, can_be_int16, widened
from mcunas.graph.torch_lower import Lowered, lower
from mcunas.quantize import nncf_ranges as nq
from mcunas.quantize.fold import fold
from mcunas.quantize.rounding import RoundsStored, RoundsTwice
from mcunas.space.bits import marks
from mcunas.space.int4 import best_magnitude

# Ops that only move or select values: their output is on the grid already.
_MOVES = ("PAD", "RESHAPE", "CONCATENATION", "MAX_POOL_2D", "RESIZE_NEAREST_NEIGHBOR", "DEPTH_TO_SPACE", "MAXIMUM",
          "MINIMUM")
_WEIGHTED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


class _Call(nn.Module):
    """A function or method node as a module, so that it has a name of its own."""

    def __init__(self, node: fx.Node) -> None:
        super().__init__()
        self.target, self.is_method = node.target, node.op == "call_method"

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if self.is_method:
            return getattr(args[0], self.target)(*args[1:], **kwargs)
        return self.target(*args, **kwargs)


def flatten_names(traced: fx.GraphModule) -> fx.GraphModule:
    """A copy in which every node calls a module that is a direct child named like the node."""
    graph, root, renamed = fx.Graph(), {}, {}
    for node in traced.graph.nodes:
        new = graph.node_copy(node, lambda n: renamed[n])
        if node.op == "call_module":
            root[node.name] = copy.deepcopy(traced.get_submodule(node.target))
            new.target = node.name
        elif node.op in ("call_function", "call_method"):
            root[node.name] = _Call(node)
            new.op, new.target = "call_module", node.name
        elif node.op == "get_attr":
            root[node.target] = getattr(*_attribute(traced, node.target))
        renamed[node] = new
    return fx.GraphModule(root, graph)


def _attribute(traced: fx.GraphModule, target: str) -> tuple[nn.Module, str]:
    owner, _, leaf = target.rpartition(".")
    return traced.get_submodule(owner), leaf


class FakeQuantized:
    """A folded network with NNCF quantizers on the Graph's edges. `module` is what to train and to run.

    net: a float network in evaluation mode; images: calibration (N, C, H, W); input_quant: the deployed input's. bits:
    module path of the folded network -> 4 for the layers whose weights are int4; the others are int8. None: as the network
    itself says (space/bits.py). wide: names of the Graph's tensors that are int16, with all that share their scales. Raises
    InputError for others than `can_be_wide`.
    """

    def __init__(self, net: nn.Module, images: torch.Tensor, input_quant: tuple[float, int], name: str = "model",
                 bits: Mapping[str, int] | None = None, wide: Collection[str] = ()) -> None:
        self.name, self.example, self.input_quant = name, images[:1], input_quant
        self.folded = fold(net, self.example)
        self.bits = marks(self.folded) if bits is None else dict(bits)
        self.lowered = lower(self.folded, self.example, name)
        self.classes = scale_classes(self.lowered.graph)
        self.fixed = fixed_quants(self.lowered.graph, input_quant)
        self.wide = self._roots(wide)
        self.module = flatten_names(self.lowered.traced)
        ranges, magnitudes = nq.place(flatten_names(self.lowered.traced), images)
        self.quantizers = self._activation_quantizers(images, ranges)
        self.from_nncf = sorted(set(ranges) & set(self.lowered.node_of.values()))
        self._quantize_weights(magnitudes)
        self._insert()
        self.train()

    @property
    def can_be_wide(self) -> dict[str, int]:
        """Name of a tensor that can be int16 -> its class."""
        short = [w for w, (path, _) in self.lowered.weight_of.items() if self.bits.get(path) == 4]
        graph = self.lowered.graph
        return {graph.tensors[root].name: root for root in can_be_int16(graph, short)}

    def _roots(self, names: Collection[str]) -> frozenset[int]:
        known = self.can_be_wide
        for name in sorted(set(names) - set(known)):
            raise InputError(f'the output "{name}" cannot be int16', self.name,
                             f"choose of {', '.join(known)}" if known else "leave its activations int8")
        return frozenset(known[name] for name in names)

    def _activation_quantizers(self, images: torch.Tensor, ranges: dict[str, tuple[float, float]]) -> dict[int, nn.Module]:
        """class -> quantizer, from NNCF's ranges, or from the data where NNCF placed none."""
        measured, usual = calibrate(self.lowered, images, self.input_quant), usual_quants(self.lowered.graph)
        quantizers: dict[int, nn.Module] = {}
        for root in dict.fromkeys(self.classes.values()):
            nodes = [self.lowered.node_of.get(t) for t, r in self.classes.items() if r == root]
            found = [ranges[n] for n in nodes if n in ranges]
            scale, zero_point = self.fixed.get(root) or measured[root]
            if root in self.fixed and root in self.wide:
                low, high = -TOP * OUTPUT_SCALE, TOP * OUTPUT_SCALE
            elif root in self.fixed or not found:
                low, high = scale * (-128 - zero_point), scale * (127 - zero_point)
            else:
                low, high = min(r[0] for r in found), max(r[1] for r in found)
            quantizers[root] = (nq.wide_quantizer(low, high) if root in self.wide else
                                nq.activation_quantizer(low, high, root not in self.fixed and usual[root][1] == INT8_MIN))
            if root in self.fixed:
                quantizers[root].disable_gradients()
        return quantizers

    def _insert(self) -> None:
        nodes = {n.name: n for n in self.module.graph.nodes}
        producers = self.lowered.graph.producer()
        for tensor, root in self.classes.items():
            op = self.lowered.graph.ops[producers[tensor]] if tensor in producers else None
            if op and op.kind in _MOVES:
                continue
            node = nodes[self.lowered.node_of[tensor]]
            if op and not self.wide & {root, *(self.classes.get(t) for t in op.inputs)}:       # int16 is rounded once
                node = self._rounded(nodes, node, op, root)
            self._after(node, f"quantizer_{root}", self.quantizers[root])
        self.module.recompile()

    def _after(self, node: fx.Node, name: str, module: nn.Module) -> fx.Node:
        """A call of the module, which gets what `node` gives, between it and all that used it."""
        if not hasattr(self.module, name):
            self.module.add_module(name, module)
        with self.module.graph.inserting_after(node):
            new = self.module.graph.call_module(name, (node,))
        node.replace_all_uses_with(new)
        new.args = (node,)
        return new

    def _rounded(self, nodes: Mapping[str, fx.Node], node: fx.Node, op: Op, root: int) -> fx.Node:
        """How the op rounds goes behind it, in front of a ReLU that it took in, where that is not to nearest. nodes: by
        name; node: the last one of the op. Returns the last one."""
        name, graph = f"rounding_{op.outputs[0]}", self.lowered.graph
        if op.kind == "AVERAGE_POOL_2D":
            return self._after(node, name, RoundsStored(lambda: self._quant(root)))
        if op.kind == "MEAN":
            count = prod(graph.tensors[op.inputs[0]].shape) // prod(graph.tensors[op.outputs[0]].shape)
            return self._after(node, name, RoundsTwice(lambda: self._steps(op.inputs[0], root), count))
        path = self.lowered.weight_of.get(op.inputs[1], ("",))[0] if len(op.inputs) > 1 else ""
        if path not in self.weighted:
            return node
        behind, given = nodes[self.weighted[path]], op.inputs[2 if op.kind == "TRANSPOSE_CONV" else 0]
        new = self._after(behind, name, RoundsTwice(lambda: self._steps(given, root, path)))
        return new if node is behind else node

    def _steps(self, given: int, root: int, path: str = "") -> tuple[torch.Tensor, torch.Tensor | None, float]:
        """Of RoundsTwice. given: the op's input; root: its output's class; path: of a layer."""
        step, scale = torch.tensor([self._quant(self.classes[given])[0]], dtype=torch.float64), self._quant(root)[0]
        if not path:
            return step, None, scale
        layer = self.module.get_submodule(self.weighted[path])
        bias = None if layer.bias is None else layer.bias.detach().double()
        return step * nq.weight_scale(layer.parametrizations.weight[0]).flatten().double(), bias, scale

    def _quant(self, root: int) -> tuple[float, int]:
        """(scale, zero point on int8) of a class; of a wide one what int8 would have."""
        if root in self.wide and root not in self.fixed:
            return STEPS * float(nq.weight_scale(self.quantizers[root])), 0
        return self.fixed.get(root) or nq.activation_quant(self.quantizers[root])

    def _quantize_weights(self, magnitudes: dict[str, torch.Tensor]) -> None:
        self.weighted = {}          # module path in the folded network -> flat name
        for node in self.lowered.traced.graph.nodes:
            layer = self.module.get_submodule(node.name) if node.op == "call_module" else None
            if isinstance(layer, _WEIGHTED):
                axis = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
                others = tuple(a for a in range(layer.weight.dim()) if a != axis)
                magnitude, bits = magnitudes.get(node.name), self.bits.get(str(node.target), 8)
                if bits == 4:
                    magnitude = best_magnitude(layer.weight.detach(), one_for_all=isinstance(layer, nn.Linear))
                elif magnitude is None or len(magnitude) != layer.weight.shape[axis]:
                    magnitude = layer.weight.detach().abs().amax(others)
                quantizer = nq.weight_quantizer(magnitude, layer.weight.dim(), axis, bits)
                parametrize.register_parametrization(layer, "weight", quantizer)
                self.weighted[str(node.target)] = node.name

    def train(self) -> None:
        """Training mode, but for batch norms that no layer could take in: they are part of the deployed graph."""
        self.module.train()
        for m in self.module.modules():
            if isinstance(m, nn.modules.batchnorm._BatchNorm):
                m.eval().requires_grad_(False)

    def parameters(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """(weights and biases, quantizer ranges) that learn."""
        ranges = {id(p) for m in self.module.modules() if isinstance(m, nq.BaseQuantizer) for p in m.parameters()}
        learning = [p for p in self.module.parameters() if p.requires_grad]
        return [p for p in learning if id(p) not in ranges], [p for p in learning if id(p) in ranges]

    def state(self) -> dict[str, torch.Tensor]:
        """Raw parameters. NNCF's state_dict would round-trip ranges through exp and log, which is not exact."""
        return {n: p.detach().clone() for n, p in self.module.named_parameters()}

    def load(self, state: dict[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.module.named_parameters():
                parameter.copy_(state[name])

    def export(self) -> Graph:
        """The Graph with exactly the learned scales and the weights that training saw: int8, int16 in `wide`."""
        deployed, scales = copy.deepcopy(self.folded), {}
        with torch.no_grad():
            for path, name in self.weighted.items():
                layer, source = deployed.get_submodule(path), self.module.get_submodule(name)
                layer.weight.copy_(source.weight)           # the fake-quantized one
                if layer.bias is not None:
                    layer.bias.copy_(source.bias)
                scales[path] = nq.weight_scale(source.parametrizations.weight[0]).numpy()
        lowered: Lowered = lower(deployed, self.example, self.name)
        learned = {root: self._quant(root) for root in self.quantizers}
        wide = {root: learned[root][0] / STEPS for root in self.wide}
        graph = to_int8(lowered, {t: learned[root] for t, root in self.classes.items()}, scales, not wide, self.bits)
        if not wide:
            return graph
        return widened(graph, wide, {b: lowered.graph.tensors[b].data.astype(np.float64) for b in lowered.bias_of})
