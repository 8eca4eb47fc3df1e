# SPDX-License-Identifier: Apache-2.0
"""A network cut into cells: pieces in a row between which a single tensor passes, so that each can be exchanged alone.

Any torch module that torch.fx can trace is cut before its convolutions, where nothing but one image is alive; what skips
ahead (a shortcut, a concatenation) stays inside a cell, and a depthwise convolution stays with the pointwise one behind it.
A network of a space is cut at its slots.
"""
from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import fx, nn

from mcunas.errors import InputError
from mcunas.graph.torch_lower import shape_of, trace
from mcunas.space.blocks import Context, build
from mcunas.space.heads import Ended
from mcunas.space.layers import Pair
from mcunas.space.net import SpaceNet
from mcunas.space.space import Space

TEACHER = "teacher"     # the option that leaves a cell as it is
_CONVS = (nn.Conv2d, nn.ConvTranspose2d)
_FOLLOWERS = (nn.BatchNorm2d, nn.ReLU, nn.ReLU6, nn.Hardswish, nn.Hardtanh, nn.LeakyReLU, nn.MaxPool2d)
_NOTHING = (nn.Identity, nn.Dropout, nn.Dropout2d)
_FOLLOWING_CALLS = {F.relu, F.relu6, torch.relu, F.hardswish, F.max_pool2d, torch.max_pool2d, F.dropout, "relu", "relu_"}
_STRIDES = (1, 2, 3, 4)


@dataclass(frozen=True, eq=False)
class Cell:
    """module: (N, C, H, W) -> (N, C', H', W'), or the logits. size, channels: of its input. context: what a block must fit
    into to stand there; None where none can."""

    name: str
    module: nn.Module
    size: Pair
    channels: int
    context: Context | None


class Chain(nn.Module):
    """Cells one behind the other: the same function as the network that was cut."""

    def __init__(self, cells: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.cells = nn.ModuleDict(cells)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for cell in self.cells.values():
            x = cell(x)
        return x


def cells_of_space(net: SpaceNet, space: Space) -> list[Cell]:
    """stem, slots, head; the modules are those of `net`. Blocks can be exchanged in slots only."""
    last = space.slots[-1].context
    slots = [Cell(s.name, net.slots[s.name], s.context.size, s.context.inputs, s.context) for s in space.slots]
    return [Cell("stem", net.stem, space.size, space.input_shape[2], None), *slots,
            Cell("head", Ended(net.head), last.out_size, last.outputs, None)]


def cells_of(net: nn.Module, input_shape: tuple[int, int, int]) -> list[Cell]:
    """The cells of a copy of `net` in evaluation mode. input_shape: (H, W, C).

    Raises InputError when torch.fx cannot trace it, or when nothing in it can be exchanged.
    """
    height, width, depth = input_shape
    net = copy.deepcopy(net).eval()
    traced = trace(net, torch.zeros(1, depth, height, width))
    modules = dict(traced.named_modules())
    nodes = [n for n in traced.graph.nodes if n.op not in ("placeholder", "output")]
    inputs = [n for n in traced.graph.nodes if n.op == "placeholder"]
    if len(inputs) != 1:
        raise InputError(f"it has {len(inputs)} inputs", where=type(net).__name__, fix="accelerate a network with one")
    found, source = [], inputs[0]
    for index, part in enumerate(_parts(nodes, inputs[0], modules)):
        shape = shape_of(source)
        module = _module(traced, part, source)
        found.append(Cell(f"cell{index}", module, shape[2:], shape[1], _context(shape, shape_of(part[-1]))))  # type: ignore[arg-type]
        source = part[-1]
    if not any(cell.context for cell in found):
        raise InputError("nothing in it stands between two single images", where=type(net).__name__,
                         fix="accelerate a network of convolutions")
    return found


def rebuilt(net: nn.Module, input_shape: tuple[int, int, int], choices: Mapping[str, str],
            inner: Mapping[str, int]) -> Chain:
    """The cells of `net` with blocks of first weights where `choices` (cell -> block) says so. inner: cell -> the width
    inside its block, where that is not the block's own. Raises InputError where a block cannot stand."""
    cells = cells_of(net, input_shape)
    unknown = sorted(set(choices) ^ {c.name for c in cells})
    if unknown:
        raise InputError(f"not one option for each cell ({unknown[0]})", where=type(net).__name__)
    return Chain({c.name: c.module if choices[c.name] == TEACHER else _block(c, choices[c.name], inner.get(c.name))
                  for c in cells})


def _block(cell: Cell, name: str, inner: int | None) -> nn.Module:
    if cell.context is None:
        raise InputError(f"{cell.name} cannot be exchanged for {name!r}")
    return build(name, cell.context, inner)


def _context(inside: tuple[int, ...], outside: tuple[int, ...]) -> Context | None:
    if len(outside) != 4:
        return None
    fitting = [c for s in _STRIDES if (c := Context(inside[2:], inside[1], outside[1], s)).out_size == outside[2:]]  # type: ignore[arg-type]
    return fitting[0] if fitting else None


def _parts(nodes: list[fx.Node], source: fx.Node, modules: Mapping[str, nn.Module]) -> list[list[fx.Node]]:
    """The nodes of each cell; the last cell begins where no convolution follows."""
    place = {n: i for i, n in enumerate(nodes)} | {source: -1}
    last_use = {n: max((place.get(u, len(nodes)) for u in n.users), default=i) for n, i in place.items()}
    convs = [i for i, n in enumerate(nodes) if _conv(n, modules) is not None]
    parts, part, alive_until = [], [], last_use[source]
    for i, node in enumerate(nodes):
        before = nodes[i - 1] if i else source
        is_cut = part and _is_image(before) and max([alive_until, *(last_use[n] for n in nodes[:i - 1])], default=0) < i
        if is_cut and _is_whole(part, modules) and _begins(i, nodes, convs, modules):
            parts.append(part)
            part = []
        part.append(node)
    return [*parts, part]


def _is_image(node: fx.Node) -> bool:
    return node.op != "get_attr" and len(getattr(node.meta.get("tensor_meta"), "shape", ())) == 4


def _conv(node: fx.Node, modules: Mapping[str, nn.Module]) -> nn.Module | None:
    module = modules.get(str(node.target)) if node.op == "call_module" else None
    return module if isinstance(module, _CONVS) else None


def _is_whole(part: list[fx.Node], modules: Mapping[str, nn.Module]) -> bool:
    """A cell's convolutions do not end with a depthwise one: the pointwise one behind it belongs to them."""
    convs = [c for c in (_conv(n, modules) for n in part) if c is not None]
    return bool(convs) and convs[-1].groups == 1


def _begins(i: int, nodes: list[fx.Node], convs: list[int], modules: Mapping[str, nn.Module]) -> bool:
    """Whether a cell may begin at node i: with a convolution, or with what stands between the last one and the head."""
    node = nodes[i]
    while len(node.users) == 1 and node.op == "call_module" and isinstance(modules[str(node.target)], _NOTHING):
        node = next(iter(node.users))
    if node.op == "output":
        return False
    following = isinstance(modules.get(str(node.target)), _FOLLOWERS) if node.op == "call_module" else (
        node.target in _FOLLOWING_CALLS)
    if following:
        return False
    if i > convs[-1]:
        return True
    is_pad = node.op == "call_module" and isinstance(modules[str(node.target)], nn.ZeroPad2d) or node.target is F.pad
    return _conv(node, modules) is not None or is_pad or len(node.users) > 1


def _module(traced: fx.GraphModule, part: list[fx.Node], source: fx.Node) -> fx.GraphModule:
    """The nodes as a module of their own, with the network's own layers."""
    graph, root = fx.Graph(), {}
    renamed = {source: graph.placeholder("x")}
    for node in part:
        renamed[node] = graph.node_copy(node, lambda n: renamed[n])
        if node.op in ("call_module", "get_attr"):
            owner, _, leaf = str(node.target).rpartition(".")
            root[str(node.target)] = getattr(traced.get_submodule(owner), leaf)
    graph.output(renamed[part[-1]])
    return fx.GraphModule(root, graph).eval()
