# SPDX-License-Identifier: Apache-2.0
"""Coupled channel groups of a torch module, found on its torch.fx trace (pruning-methods.md section 1.4, Grouping).

Every tensor's channel axis is a list of segments (set, repeat): `repeat` consecutive entries per channel of a set. A
convolution starts a set, a depthwise one views its input's, a concatenation strings segments together, an addition
unites sets, a flatten repeats each channel H*W times. Sets that touch the input, the output or an op that is not
understood are frozen: their width stays.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import fx, nn

from mcunas.cost.skeleton import Axis
from mcunas.graph.torch_lower import ELEMENTWISE
from mcunas.graph.torch_trace import RESHAPES, is_number, shape_of, trace, written_length
from mcunas.prune.sets import Segments, Sets


@dataclass(frozen=True)
class Group:
    """One width to choose. modules: those whose outputs carry it; the first one names the group."""

    name: str
    channels: int
    modules: tuple[str, ...]


@dataclass(frozen=True)
class Channels:
    """groups: the widths to choose. inputs, outputs: module path -> its channel axes (convolution, linear, batch norm).

    gates: module path after which the mask of its output axis applies. nodes: fx node name -> channel axis.
    frozen: (set's modules, reason) for what cannot be pruned.
    """

    groups: tuple[Group, ...]
    inputs: dict[str, Axis]
    outputs: dict[str, Axis]
    gates: tuple[str, ...]
    nodes: dict[str, Axis]
    frozen: tuple[tuple[tuple[str, ...], str], ...]


_SLICED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d)
_PASS_MODULES = (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.Hardtanh, nn.Sigmoid, nn.Tanh, nn.LeakyReLU, nn.Identity, nn.Dropout,
                 nn.Dropout2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.ZeroPad2d, nn.Upsample, nn.Softmax)
_PASS_CALLS = {F.relu, F.relu6, torch.relu, F.hardswish, F.hardtanh, torch.sigmoid, F.sigmoid, torch.tanh, F.tanh,
               F.leaky_relu, F.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, F.pad, F.dropout, F.interpolate,
               torch.mean, torch.max_pool2d, "relu", "sigmoid", "tanh", "mean", "contiguous", "clone", "relu_", torch.relu_,
               "detach", F.softmax, torch.softmax, "softmax"}
_JOINS = set(ELEMENTWISE)
_FLATTENS = {torch.flatten, "flatten", "view", "reshape", torch.reshape, "squeeze", torch.squeeze}


class _Tracer:
    def __init__(self, traced: fx.GraphModule) -> None:
        self.traced, self.modules, self.sets = traced, dict(traced.named_modules()), Sets()
        self.segments: dict[fx.Node, Segments] = {}
        self.inputs: dict[str, Segments] = {}
        self.outputs: dict[str, Segments] = {}
        self.gates: list[str] = []
        self.owners: dict[int, str] = {}        # id of a parameter -> the first module that has it

    def run(self) -> None:
        for node in self.traced.graph.nodes:
            if node.op == "placeholder":
                self.segments[node] = ((self.sets.new(shape_of(node)[1], "network input"), 1),)
            elif node.op == "output":
                for source in node.all_input_nodes:
                    self.sets.freeze(self.segments.get(source, ()), "network output")
            elif node.op in ("call_module", "call_function", "call_method") and not is_number(node):
                is_module = node.op == "call_module"
                found = self._module(node, self.modules[node.target]) if is_module else self._call(node)
                self.segments[node] = found if self._fits(node, found) else self._opaque(node, f"{node.name} is reshaped")

    def _fits(self, node: fx.Node, segments: Segments) -> bool:
        """Does the channel axis have the length that its segments say?"""
        meta = node.meta.get("tensor_meta")
        shape: Sequence[int] = getattr(meta, "shape", ())
        return len(shape) < 2 or int(shape[1]) == sum(self.sets.width[s] * r for s, r in segments)

    def _opaque(self, node: fx.Node, what: str) -> Segments:
        for source in node.all_input_nodes:
            self.sets.freeze(self.segments.get(source, ()), what)
        meta = node.meta.get("tensor_meta")
        if meta is None or not hasattr(meta, "shape") or len(meta.shape) < 2:
            return ()
        return ((self.sets.new(int(meta.shape[1]), what), 1),)

    def _new_set(self, path: str, width: int) -> Segments:
        s = self.sets.new(width)
        self.sets.modules[s].append(path)
        return ((s, 1),)

    def _module(self, node: fx.Node, m: nn.Module) -> Segments:
        path, source = str(node.target), self.segments.get(node.args[0], ())
        if path in self.outputs:                            # called twice: keep it as it is
            self.sets.freeze(self.outputs[path] + self.inputs[path], f"{path} is shared")
            return self._opaque(node, f"{path} is shared")
        owners = [self.owners.setdefault(id(p), path) for p in m.parameters(recurse=False)]
        tied = next((owner for owner in owners if owner != path), None)
        if tied:
            self.sets.freeze(self.outputs[tied] + self.inputs[tied], f"{path} shares its weights")
            result = self._opaque(node, f"it shares weights of {tied}")
            if isinstance(m, _SLICED):
                self.inputs[path], self.outputs[path] = source, result
            return result
        if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)) and m.groups == 1:
            result = self._new_set(path, m.out_channels)
        elif isinstance(m, nn.Linear) and len(shape_of(node)) == 2:
            result = self._new_set(path, m.out_features)
        elif isinstance(m, nn.Conv2d) and m.groups == m.in_channels:
            result = tuple((s, r * (m.out_channels // m.in_channels)) for s, r in source)
            for s, _ in source:
                self.sets.modules[self.sets.find(s)].append(path)
        elif isinstance(m, (nn.BatchNorm2d, nn.BatchNorm1d)):
            self.inputs[path] = self.outputs[path] = source
            self.gates.append(path)             # its shift would bring a masked channel back
            return source
        elif isinstance(m, nn.Flatten):
            return self._flatten(node, source)
        elif isinstance(m, _PASS_MODULES):
            return source
        else:
            return self._opaque(node, f"{path} ({type(m).__name__}) is not understood")
        self.inputs[path], self.outputs[path] = source, result
        follower = next(iter(node.users)) if len(node.users) == 1 else None
        is_normed = follower is not None and follower.op == "call_module" and isinstance(
            self.modules[follower.target], (nn.BatchNorm2d, nn.BatchNorm1d))
        if not is_normed:
            self.gates.append(path)
        return result

    def _flatten(self, node: fx.Node, source: Segments) -> Segments:
        shape, out = shape_of(node.args[0]), shape_of(node)
        if node.target in RESHAPES and shape != out and written_length(node):
            return self._opaque(node, f"{node.name} says its length as a number")
        if len(shape) == 4 and len(out) == 2 and out[0] == shape[0]:
            return tuple((s, r * shape[2] * shape[3]) for s, r in source)
        return source if shape == out else self._opaque(node, f"{node.name} reshapes to {out}")

    def _call(self, node: fx.Node) -> Segments:
        sources = [self.segments.get(n, ()) for n in node.all_input_nodes if n.op != "get_attr"]
        if node.target in _PASS_CALLS:
            return sources[0]
        if node.target in _FLATTENS:
            return self._flatten(node, sources[0])
        if node.target in _JOINS:
            if len(sources) == 1 and len(node.all_input_nodes) == 1:     # with a Python number, or x + x
                return sources[0]
            if len(sources) == 2 and [r for _, r in sources[0]] == [r for _, r in sources[1]] and all(
                    self.sets.width[a] == self.sets.width[b] for (a, _), (b, _) in zip(*sources)):
                for (a, _), (b, _) in zip(*sources):
                    self.sets.join(a, b)
                return sources[0]
        if node.target in (torch.cat, torch.concat):
            dim = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
            if dim in (1, 1 - len(shape_of(node))):
                return tuple(segment for source in sources for segment in source)
        return self._opaque(node, f"{node.name} is not understood")


def find_groups(module: nn.Module, example: torch.Tensor) -> Channels:
    """Trace `module` for inputs like `example` (N, C, H, W) and find its channel groups, in order of first use.

    Raises InputError when torch.fx cannot trace it.
    """
    tracer = _Tracer(trace(module, example))
    tracer.run()
    sets = tracer.sets
    roots = list(dict.fromkeys(sets.find(s) for s in range(len(sets.parent))))
    free = [r for r in roots if not sets.reason[r] and sets.modules[r]]
    index = {r: i for i, r in enumerate(free)}

    def axis(segments: Segments) -> Axis:
        return Axis(tuple((index.get(sets.find(s), -1), r, r * sets.width[s]) for s, r in segments))

    outputs = {p: axis(s) for p, s in tracer.outputs.items()}
    groups = tuple(Group(sets.modules[r][0], sets.width[r], tuple(dict.fromkeys(sets.modules[r]))) for r in free)
    gates = tuple(g for g in dict.fromkeys(tracer.gates) if any(s[0] >= 0 for s in outputs[g].segments))
    frozen = tuple((tuple(sets.modules[r]), sets.reason[r]) for r in roots if sets.reason[r] and sets.modules[r])
    return Channels(groups, {p: axis(s) for p, s in tracer.inputs.items()}, outputs, gates,
                    {n.name: axis(s) for n, s in tracer.segments.items()}, frozen)
