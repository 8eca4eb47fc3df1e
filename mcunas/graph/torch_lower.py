# SPDX-License-Identifier: Apache-2.0
"""torch module -> float Graph: torch.fx tracing, the NCHW -> NHWC change, fused activations, SAME padding.

The result holds float32 tensors only; `to_int8` turns it into int8 once every activation has a scale. Each activation
remembers the fx node it came from, so that quantizers sit on exactly the edges that exist in the deployed graph.
"""
from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from mcunas.errors import InputError
from mcunas.graph.ir import Graph, Op, Tensor
from mcunas.graph.to_int8 import FloatGraph
from mcunas.graph.torch_trace import is_number, shape_of, trace

FUSABLE = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "ADD", "SUB", "MUL")
HANDLERS: dict[Any, Callable] = {}          # module type, function or method name -> handler(lowering, node, args)


def handles(*keys: Any) -> Callable:
    """Register a handler for module types, functions or tensor method names."""
    def register(function: Callable) -> Callable:
        HANDLERS.update(dict.fromkeys(keys, function))
        return function
    return register


@dataclass(frozen=True)
class Value:
    """What an fx node became. pad: zero padding (top, bottom, left, right) still to be applied.

    flat: (C, H, W) when the tensor is a flattened image in NHWC order, which torch would hold in CHW order.
    """

    tensor: int
    pad: tuple[int, int, int, int] = (0, 0, 0, 0)
    flat: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Lowered(FloatGraph):
    """A float Graph and its ties to the traced module; a weight's layer is its module's path.

    node_of: activation tensor -> fx node name (the last node fused into it); a PAD's output has none.
    """

    traced: fx.GraphModule
    node_of: dict[int, str]


@dataclass
class Lowering:
    """Mutable state while lowering one module."""

    modules: dict[str, nn.Module]
    tensors: list[Tensor] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    node_of: dict[int, str] = field(default_factory=dict)
    weight_of: dict[int, tuple[str, tuple[int, ...] | None]] = field(default_factory=dict)
    bias_of: dict[int, tuple[int, int]] = field(default_factory=dict)
    values: dict[fx.Node, Any] = field(default_factory=dict)

    def const(self, name: str, data: np.ndarray) -> int:
        data = np.ascontiguousarray(data)
        self.tensors.append(Tensor(name, tuple(int(d) for d in data.shape), str(data.dtype), None, data))
        return len(self.tensors) - 1

    def replace_data(self, tensor: int, data: np.ndarray) -> None:
        self.tensors[tensor] = replace(self.tensors[tensor], data=np.ascontiguousarray(data))

    def emit(self, kind: str, inputs: tuple[int, ...], shape: tuple[int, ...], node: fx.Node, **attrs: Any) -> Value:
        """Append an op with one float output of `shape` (NHWC) that stands for `node`."""
        self.tensors.append(Tensor(node.name, tuple(int(d) for d in shape), "float32"))
        out = len(self.tensors) - 1
        self.ops.append(Op(kind, inputs, (out,), attrs))
        self.node_of[out] = node.name
        return Value(out)

    def producer(self, tensor: int) -> int | None:
        """Index of the op that writes `tensor`; searched from the end, where it nearly always is."""
        return next((i for i in reversed(range(len(self.ops))) if tensor in self.ops[i].outputs), None)

    def get(self, node: Any) -> Value:
        """The value of an fx node with its padding made explicit. Raises InputError for anything but a tensor."""
        value = self.values.get(node) if isinstance(node, fx.Node) else None
        if not isinstance(value, Value):
            raise InputError("an argument is not a tensor of this network", fix="use tensors computed from the input")
        if any(value.pad):
            value = self.values[node] = self.pad(value, value.pad, node)
        return value

    def pad(self, value: Value, pad: tuple[int, int, int, int], node: fx.Node) -> Value:
        top, bottom, left, right = pad
        n, h, w, c = self.tensors[value.tensor].shape
        amounts = self.const(f"{node.name}_paddings", np.array([(0, 0), (top, bottom), (left, right), (0, 0)], np.int32))
        result = self.emit("PAD", (value.tensor, amounts), (n, h + top + bottom, w + left + right, c), node)
        index = result.tensor
        self.tensors[index] = replace(self.tensors[index], name=f"{node.name}_padded")
        del self.node_of[index]             # the node stands for the op behind the padding
        return result

    def private(self, node: fx.Node) -> int | None:
        """Index of the op that computes `node`'s first argument when nobody but `node` sees its output, else None."""
        source, value = node.args[0], self.values.get(node.args[0])
        if not isinstance(value, Value) or any(value.pad) or value.tensor not in self.node_of:
            return None
        while len(source.users) == 1 and source.name != self.node_of[value.tensor]:
            source = source.args[0]         # through Identity, Dropout and the like
        return self.producer(value.tensor) if len(source.users) == 1 else None

    def fuse(self, node: fx.Node, activation: str) -> bool:
        """Fold an activation into the op before it when nobody else sees that op's output."""
        index, value = self.private(node), self.values.get(node.args[0])
        if index is None or self.ops[index].kind not in FUSABLE or self.ops[index].attrs["activation"] != "NONE":
            return False
        self.ops[index] = replace(self.ops[index], attrs={**self.ops[index].attrs, "activation": activation})
        self.tensors[value.tensor] = replace(self.tensors[value.tensor], name=node.name)
        self.node_of[value.tensor] = node.name
        self.values[node] = value
        return True


def nhwc(shape: tuple[int, ...]) -> tuple[int, ...]:
    """NCHW -> NHWC for rank 4; other ranks keep their order."""
    return (shape[0], shape[2], shape[3], shape[1]) if len(shape) == 4 else tuple(shape)


def lower(module: nn.Module, example: torch.Tensor, name: str = "model") -> Lowered:
    """Lower `module` for inputs shaped like `example` (NCHW or (N, F), N = 1) to a float Graph.

    Raises InputError naming the module path or function that is not supported, and what to do instead.
    """
    from mcunas.graph import torch_layers, torch_ops  # noqa: F401  they register the handlers

    traced = trace(module, example)
    state = Lowering(dict(traced.named_modules()))
    inputs: list[int] = []
    outputs: list[int] = []
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            state.tensors.append(Tensor(node.name, nhwc(shape_of(node)), "float32"))
            inputs.append(len(state.tensors) - 1)
            state.node_of[inputs[-1]] = node.name
            state.values[node] = Value(inputs[-1])
        elif node.op == "output":
            results = node.args[0] if isinstance(node.args[0], (tuple, list)) else (node.args[0],)
            outputs += [state.get(r).tensor for r in results]
        else:
            _lower_node(state, node, traced)
    graph = Graph(tuple(state.tensors), tuple(state.ops), tuple(inputs), tuple(outputs), name)
    return Lowered(_drop_unused(graph), state.weight_of, state.bias_of, traced, state.node_of)


def _lower_node(state: Lowering, node: fx.Node, traced: fx.GraphModule) -> None:
    if is_number(node):
        return
    if node.op == "get_attr":
        owner, _, leaf = node.target.rpartition(".")
        state.values[node] = getattr(traced.get_submodule(owner), leaf).detach()
        return
    if node.op == "call_module":
        module = state.modules[node.target]
        where, what = f"module {node.target}", type(module).__name__
        handler = next((HANDLERS[t] for t in type(module).__mro__ if t in HANDLERS), None)
    else:
        where, what = f"node {node.name}", getattr(node.target, "__name__", str(node.target))
        handler = HANDLERS.get(node.target)
    if handler is None:
        raise InputError(f"{what} is not supported", where=where,
                         fix="replace it by a supported layer, or import the model as an int8 .tflite")
    try:
        result = handler(state, node)
    except InputError as error:
        raise InputError(error.what, where=error.where or where, fix=error.fix) from None
    if result is not None:
        state.values[node] = result


def _drop_unused(graph: Graph) -> Graph:
    """Remove ops whose outputs nobody reads (dead branches of the traced module)."""
    needed, kept = set(graph.outputs), []
    for op in reversed(graph.ops):
        if needed & set(op.outputs):
            kept.append(op)
            needed.update(t for t in op.inputs if t >= 0)
    return graph.with_(ops=tuple(reversed(kept)))


def as_constant(state: Lowering, argument: Any, rank: int, node: fx.Node) -> int:
    """A Python number or a parameter as a constant operand of an element-wise op (NHWC)."""
    data = argument.detach().numpy() if isinstance(argument, torch.Tensor) else np.array(argument)
    data = data.astype(np.float32).reshape((1,) * (rank - data.ndim) + data.shape)
    return state.const(f"{node.name}_operand", data.transpose(0, 2, 3, 1) if rank == 4 else data)


ELEMENTWISE = {operator.add: "ADD", torch.add: "ADD", operator.iadd: "ADD", "add": "ADD", "add_": "ADD",
               operator.sub: "SUB", torch.sub: "SUB", operator.isub: "SUB", "sub": "SUB",
               operator.mul: "MUL", torch.mul: "MUL", operator.imul: "MUL", "mul": "MUL",
               torch.maximum: "MAXIMUM", torch.minimum: "MINIMUM"}
