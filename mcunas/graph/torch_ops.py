# SPDX-License-Identifier: Apache-2.0
"""torch functions and layers without weights as ops of a float Graph, one handler each (see torch_lower)."""
from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import fx, nn

from mcunas.errors import InputError
from mcunas.graph.torch_layers import argument, pair, same_before
from mcunas.graph.torch_lower import ELEMENTWISE, Lowering, Value, as_constant, handles, nhwc
from mcunas.graph.torch_trace import shape_of


def _activation(state: Lowering, node: fx.Node, fused: str | None, alone: str, **attrs: Any) -> Value | None:
    if fused and state.fuse(node, fused):
        return None
    value = state.get(node.args[0])
    result = state.emit(alone, (value.tensor,), state.tensors[value.tensor].shape, node, **attrs)
    return Value(result.tensor, flat=value.flat)


@handles(nn.ReLU, F.relu, torch.relu, "relu", "relu_", torch.relu_)
def relu(state: Lowering, node: fx.Node) -> Value | None:
    return _activation(state, node, "RELU", "RELU")


@handles(nn.ReLU6, F.relu6)
def relu6(state: Lowering, node: fx.Node) -> Value | None:
    return _activation(state, node, "RELU6", "RELU6")


@handles(nn.Hardtanh, F.hardtanh)
def hardtanh(state: Lowering, node: fx.Node) -> Value | None:
    m = state.modules[node.target] if node.op == "call_module" else None
    low, high = (m.min_val, m.max_val) if m else (argument(node, 1, "min_val", -1.0), argument(node, 2, "max_val", 1.0))
    if (low, high) == (0, 6):
        return _activation(state, node, "RELU6", "RELU6")
    if (low, high) == (-1, 1) and state.fuse(node, "RELU_N1_TO_1"):
        return None
    raise InputError(f"a clamp to [{low}, {high}] here is not supported", fix="use ReLU or ReLU6")


@handles(nn.Hardswish, F.hardswish)
def hardswish(state: Lowering, node: fx.Node) -> Value | None:
    return _activation(state, node, None, "HARD_SWISH")


@handles(nn.Sigmoid, torch.sigmoid, F.sigmoid, "sigmoid")
def sigmoid(state: Lowering, node: fx.Node) -> Value | None:
    return _activation(state, node, None, "LOGISTIC")


@handles(nn.Tanh, torch.tanh, F.tanh, "tanh")
def tanh(state: Lowering, node: fx.Node) -> Value | None:
    return _activation(state, node, None, "TANH")


@handles(nn.LeakyReLU, F.leaky_relu)
def leaky_relu(state: Lowering, node: fx.Node) -> Value | None:
    slope = (state.modules[node.target].negative_slope if node.op == "call_module"
             else argument(node, 1, "negative_slope", 0.01))
    return _activation(state, node, None, "LEAKY_RELU", alpha=float(slope))


@handles(nn.Softmax, F.softmax, torch.softmax, "softmax")
def softmax(state: Lowering, node: fx.Node) -> Value | None:
    dim = state.modules[node.target].dim if node.op == "call_module" else argument(node, 1, "dim")
    rank = len(shape_of(node))
    if rank != 2 or dim not in (1, -1):
        raise InputError(f"softmax over dimension {dim} of a rank-{rank} tensor", fix="apply it to (batch, classes)")
    return _activation(state, node, None, "SOFTMAX", beta=1.0)


@handles(*ELEMENTWISE)
def elementwise(state: Lowering, node: fx.Node) -> Value:
    kind = ELEMENTWISE[node.target]
    if node.kwargs.get("alpha", 1) != 1:
        raise InputError("alpha other than 1 is not supported", fix="multiply first")
    rank, operands, flats = len(shape_of(node)), [], []
    for operand in node.args[:2]:
        value = state.values.get(operand) if isinstance(operand, fx.Node) else operand
        if isinstance(value, Value):
            value = state.get(operand)
            operands.append(value.tensor)
            flats.append(value.flat)
        else:
            operands.append(as_constant(state, value, rank, node))
    if len(set(flats)) > 1:
        raise InputError("it joins differently ordered flattened tensors", fix="join them before flattening")
    attrs = {"activation": "NONE"} if kind in ("ADD", "SUB", "MUL") else {}
    result = state.emit(kind, tuple(operands), nhwc(shape_of(node)), node, **attrs)
    return Value(result.tensor, flat=flats[0])


@handles(torch.cat, torch.concat)
def concatenate(state: Lowering, node: fx.Node) -> Value:
    values = [state.get(n) for n in node.args[0]]
    rank, dim = len(shape_of(node)), argument(node, 1, "dim", 0)
    axis = (0, 3, 1, 2)[dim % 4] if rank == 4 else dim % rank
    if any(v.flat for v in values):
        raise InputError("concatenating flattened images is not supported", fix="concatenate before flattening")
    return state.emit("CONCATENATION", tuple(v.tensor for v in values), nhwc(shape_of(node)), node, axis=axis,
                      activation="NONE")


@handles(nn.ZeroPad2d, F.pad)
def zero_pad(state: Lowering, node: fx.Node) -> Value:
    if node.op == "call_module":
        amounts = state.modules[node.target].padding
    else:
        amounts = argument(node, 1, "pad")
        if argument(node, 2, "mode", "constant") != "constant" or argument(node, 3, "value", 0) not in (0, None):
            raise InputError("padding with anything but zeros is not supported", fix="pad with zeros")
    amounts = tuple(amounts) + (0,) * (4 - len(amounts))
    if len(shape_of(node)) != 4 or len(amounts) > 4 or min(amounts) < 0:
        raise InputError("only height and width of an image can be padded", fix="use nn.ZeroPad2d")
    left, right, top, bottom = amounts
    value = state.values[node.args[0]]
    return Value(value.tensor, tuple(p + e for p, e in zip(value.pad, (top, bottom, left, right))))


def _pool(state: Lowering, node: fx.Node, kind: str) -> Value:
    if node.op == "call_module":
        m = state.modules[node.target]
        kernel, stride, padding, ceil_mode = m.kernel_size, m.stride, m.padding, m.ceil_mode
        dilation, counts_padding = getattr(m, "dilation", 1), getattr(m, "count_include_pad", False)
    else:
        kernel, stride = argument(node, 1, "kernel_size"), argument(node, 2, "stride")
        padding = argument(node, 3, "padding", 0)
        average = kind == "AVERAGE_POOL_2D"
        ceil_mode = argument(node, 4 if average else 5, "ceil_mode", False)
        counts_padding = average and argument(node, 5, "count_include_pad", True)
        dilation = 1 if average else argument(node, 4, "dilation", 1)
    kernel, padding = pair(kernel), pair(padding)
    stride = kernel if stride is None or stride == [] else pair(stride)
    if pair(dilation) != (1, 1) or (counts_padding and any(padding)):
        raise InputError("pooling with dilation or with padding in the average is not supported",
                         fix="set dilation=1 and count_include_pad=False")
    if any(state.values[node.args[0]].pad):
        state.get(node.args[0])         # zeros must not be mistaken for TFLite's ignored border
    x, out = state.values[node.args[0]].tensor, shape_of(node)
    shape = state.tensors[x].shape
    same = [same_before(shape[1 + a], out[2 + a], kernel[a], stride[a], 1) for a in (0, 1)]
    if not any(padding) and all(out[2 + a] == (shape[1 + a] - kernel[a]) // stride[a] + 1 for a in (0, 1)):
        mode = "VALID"
    elif same == list(padding):
        mode = "SAME"
    elif kind == "MAX_POOL_2D" and not ceil_mode and _is_never_negative(state, x):
        top, left = padding         # zeros, which win over nothing
        x, mode = state.pad(state.values[node.args[0]], (top, top, left, left), node).tensor, "VALID"
    else:
        raise InputError(f"pooling with padding {padding}, ceil_mode={ceil_mode} is neither SAME nor VALID in TFLite",
                         fix="choose kernel, stride and padding so that the output is input/stride rounded up"
                             + (", or put a ReLU before it" if kind == "MAX_POOL_2D" else ""))
    return state.emit(kind, (x,), nhwc(out), node, filter_h=kernel[0], filter_w=kernel[1], stride_h=stride[0],
                      stride_w=stride[1], padding=mode, activation="NONE")


def _is_never_negative(state: Lowering, tensor: int) -> bool:
    maker = state.producer(tensor)
    op = state.ops[maker] if maker is not None else None
    return op is not None and (op.kind in ("RELU", "RELU6", "LOGISTIC") or op.attrs.get("activation") in ("RELU", "RELU6"))


@handles(nn.MaxPool2d, F.max_pool2d, torch.max_pool2d)
def max_pool(state: Lowering, node: fx.Node) -> Value:
    return _pool(state, node, "MAX_POOL_2D")


@handles(nn.AvgPool2d, F.avg_pool2d)
def average_pool(state: Lowering, node: fx.Node) -> Value:
    return _pool(state, node, "AVERAGE_POOL_2D")


def _mean(state: Lowering, node: fx.Node, keep_dims: bool) -> Value:
    x = state.get(node.args[0]).tensor
    axes = state.const(f"{node.name}_axes", np.array([1, 2], np.int32))
    n, _, _, c = state.tensors[x].shape
    return state.emit("MEAN", (x, axes), (n, 1, 1, c) if keep_dims else (n, c), node, keep_dims=keep_dims)


@handles(nn.AdaptiveAvgPool2d, F.adaptive_avg_pool2d)
def adaptive_average_pool(state: Lowering, node: fx.Node) -> Value:
    out, x = shape_of(node), state.get(node.args[0])
    _, h, w, _ = state.tensors[x.tensor].shape
    if out[2:] == (1, 1):
        return _mean(state, node, keep_dims=True)
    if h % out[2] or w % out[3]:
        raise InputError(f"adaptive pooling from {h}x{w} to {out[2]}x{out[3]} has unequal windows",
                         fix="choose an output size that divides the input size")
    kernel = (h // out[2], w // out[3])
    return state.emit("AVERAGE_POOL_2D", (x.tensor,), nhwc(out), node, filter_h=kernel[0], filter_w=kernel[1],
                      stride_h=kernel[0], stride_w=kernel[1], padding="VALID", activation="NONE")


@handles(torch.mean, "mean")
def mean(state: Lowering, node: fx.Node) -> Value:
    dims, keep = argument(node, 1, "dim"), bool(argument(node, 2, "keepdim", False))
    rank = len(state.tensors[state.get(node.args[0]).tensor].shape)
    if rank != 4 or dims is None or sorted(d % 4 for d in _as_tuple(dims)) != [2, 3]:
        raise InputError("only the mean over height and width is supported", fix="use x.mean((2, 3))")
    return _mean(state, node, keep)


def _as_tuple(value: Any) -> tuple:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


@handles(nn.Flatten, torch.flatten, "flatten", "view", "reshape", torch.reshape, "squeeze", torch.squeeze)
def flatten(state: Lowering, node: fx.Node) -> Value:
    value, out = state.get(node.args[0]), shape_of(node)
    shape = state.tensors[value.tensor].shape
    if out == shape and len(shape) == 2:
        return value
    if len(shape) != 4 or len(out) != 2 or out[0] != shape[0]:
        raise InputError(f"reshaping to {out} is not supported", fix="flatten an image to (batch, features) only")
    _, h, w, c = shape
    target = state.const(f"{node.name}_shape", np.array(out, np.int32))
    result = state.emit("RESHAPE", (value.tensor, target), out, node)
    return Value(result.tensor, flat=(c, h, w) if h * w > 1 and c > 1 else None)


@handles(nn.Identity, nn.Dropout, nn.Dropout2d, F.dropout, "contiguous", "detach", "clone")
def identity(state: Lowering, node: fx.Node) -> Value:
    return state.values[node.args[0]]


@handles(nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d, F.interpolate)
def upsample(state: Lowering, node: fx.Node) -> Value:
    m = state.modules[node.target] if node.op == "call_module" else None
    mode = m.mode if m else argument(node, 3, "mode", "nearest")
    aligned = bool(m.align_corners if m else argument(node, 4, "align_corners", False))
    x, out = state.get(node.args[0]).tensor, shape_of(node)
    size = state.const(f"{node.name}_size", np.array(out[2:], np.int32))
    if mode == "nearest":
        return state.emit("RESIZE_NEAREST_NEIGHBOR", (x, size), nhwc(out), node, align_corners=False,
                          half_pixel_centers=False)
    if mode == "bilinear":
        return state.emit("RESIZE_BILINEAR", (x, size), nhwc(out), node, align_corners=aligned,
                          half_pixel_centers=not aligned)
    raise InputError(f"upsampling mode {mode!r} is not supported", fix="use 'nearest' or 'bilinear'")
