# SPDX-License-Identifier: Apache-2.0
"""One handler per torch layer or function: how it becomes ops of a float Graph (see torch_lower).

Padding: TFLite knows SAME and VALID only. A symmetric torch padding that equals SAME is written as SAME, a preceding
ZeroPad2d counts too, and everything else becomes an explicit PAD.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import fx, nn

from mcunas.errors import InputError
from mcunas.graph.torch_lower import ELEMENTWISE, Lowering, Value, as_constant, handles, nhwc, shape_of


def _pair(value: Any) -> tuple[int, int]:
    return (int(value[0]), int(value[1])) if isinstance(value, (tuple, list)) else (int(value), int(value))


def _argument(node: fx.Node, position: int, name: str, default: Any = None) -> Any:
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)


def _same_before(size: int, out: int, kernel: int, stride: int, dilation: int) -> int | None:
    """Padding that TFLite's SAME puts before the first element, or None when SAME gives another output size."""
    if out != -(-size // stride):
        return None
    return max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0) // 2


def _windowed(state: Lowering, node: fx.Node, padding: tuple[int, int], kernel: tuple[int, int],
              stride: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, str]:
    """(input tensor, "SAME" | "VALID") for a window op; emits a PAD where neither fits."""
    source = node.args[0]
    value = state.values[source]
    if any(value.pad) and len(source.users) > 1:
        value = state.get(source)
    pad = tuple(p + extra for p, extra in zip(value.pad, (padding[0], padding[0], padding[1], padding[1])))
    if not any(pad):
        return value.tensor, "VALID"
    shape, out = state.tensors[value.tensor].shape, shape_of(node)
    before = [_same_before(shape[1 + a], out[2 + a], kernel[a], stride[a], dilation[a]) for a in (0, 1)]
    if before == [pad[0], pad[2]]:
        return value.tensor, "SAME"
    return state.pad(value, pad, node).tensor, "VALID"


def _weights(state: Lowering, node: fx.Node, x: int, weight: np.ndarray, bias: torch.Tensor | None,
             outputs: int) -> tuple[int, int]:
    """Constants for a weight (already in TFLite's layout) and its bias (zeros when the layer has none)."""
    w = state.const(f"{node.name}_weight", weight.astype(np.float32))
    state.weight_of[w] = (str(node.target), None)
    data = np.zeros(outputs, np.float32) if bias is None else bias.detach().numpy().astype(np.float32)
    b = state.const(f"{node.name}_bias", data)
    state.bias_of[b] = (x, w)
    return w, b


@handles(nn.Conv2d)
def conv2d(state: Lowering, node: fx.Node) -> Value:
    m = state.modules[node.target]
    kernel, stride, dilation = _pair(m.kernel_size), _pair(m.stride), _pair(m.dilation)
    padding = m.padding
    if padding == "same":
        padding = tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilation))
        if any(d * (k - 1) % 2 for k, d in zip(kernel, dilation)):
            raise InputError("padding='same' with an even kernel", fix="pad explicitly with nn.ZeroPad2d")
    padding = (0, 0) if padding == "valid" else _pair(padding)
    if m.padding_mode != "zeros":
        raise InputError(f"padding_mode={m.padding_mode!r} is not supported", fix="use padding_mode='zeros'")
    x, mode = _windowed(state, node, padding, kernel, stride, dilation)
    attrs = {"stride_h": stride[0], "stride_w": stride[1], "dilation_h": dilation[0], "dilation_w": dilation[1],
             "padding": mode, "activation": "NONE"}
    weight = m.weight.detach().numpy()
    if m.groups == 1:
        w, b = _weights(state, node, x, weight.transpose(0, 2, 3, 1), m.bias, m.out_channels)
        return state.emit("CONV_2D", (x, w, b), nhwc(shape_of(node)), node, **attrs)
    if m.groups != m.in_channels:
        raise InputError(f"a convolution with {m.groups} groups is not supported",
                         fix="use groups=1 or one group per input channel")
    w, b = _weights(state, node, x, weight.transpose(1, 2, 3, 0), m.bias, m.out_channels)
    return state.emit("DEPTHWISE_CONV_2D", (x, w, b), nhwc(shape_of(node)), node, **attrs,
                      depth_multiplier=m.out_channels // m.in_channels)


@handles(nn.ConvTranspose2d)
def conv_transpose2d(state: Lowering, node: fx.Node) -> Value:
    m = state.modules[node.target]
    if m.groups != 1 or _pair(m.dilation) != (1, 1):
        raise InputError("a transposed convolution with groups or dilation is not supported",
                         fix="use groups=1 and dilation=1")
    x = state.get(node.args[0]).tensor
    out, size = shape_of(node), state.tensors[x].shape[1:3]
    kernel, stride, padding = _pair(m.kernel_size), _pair(m.stride), _pair(m.padding)
    valid = all(p == 0 and o == (s - 1) * st + k for p, o, s, st, k in zip(padding, out[2:], size, stride, kernel))
    same = all(o == s * st and p == max((s - 1) * st + k - o, 0) // 2
               for p, o, s, st, k in zip(padding, out[2:], size, stride, kernel))
    if not (same or valid):
        raise InputError("its padding is neither SAME nor VALID in TFLite",
                         fix="choose padding=(kernel-stride)//2 and an output of stride x input, or padding=0")
    weight = m.weight.detach().numpy().transpose(1, 2, 3, 0)
    w, b = _weights(state, node, x, weight, m.bias, m.out_channels)
    shape = state.const(f"{node.name}_shape", np.array(nhwc(out), np.int32))
    return state.emit("TRANSPOSE_CONV", (shape, w, x, b), nhwc(out), node, stride_h=stride[0], stride_w=stride[1],
                      padding="VALID" if valid else "SAME", activation="NONE")


@handles(nn.Linear)
def linear(state: Lowering, node: fx.Node) -> Value:
    m = state.modules[node.target]
    value = state.get(node.args[0])
    if len(state.tensors[value.tensor].shape) != 2:
        raise InputError("a linear layer needs a (batch, features) input", fix="put nn.Flatten() before it")
    weight = m.weight.detach().numpy()
    if value.flat:      # torch flattened CHW, the deployed tensor is HWC: move the weight's columns instead
        weight = weight.reshape(m.out_features, *value.flat).transpose(0, 2, 3, 1).reshape(m.out_features, -1)
    w, b = _weights(state, node, value.tensor, weight, m.bias, m.out_features)
    return state.emit("FULLY_CONNECTED", (value.tensor, w, b), shape_of(node), node, activation="NONE", keep_dims=False)


@handles(nn.BatchNorm2d, nn.BatchNorm1d)
def batch_norm(state: Lowering, node: fx.Node) -> Value:
    """Folded into the layer before it where nobody else reads that; else a depthwise 1x1 convolution of its own."""
    m, value = state.modules[node.target], state.values[node.args[0]]
    scale = (m.weight if m.affine else torch.ones(m.num_features)) / torch.sqrt(m.running_var + m.eps)
    shift = (m.bias if m.affine else 0) - m.running_mean * scale
    scale, shift = scale.detach().numpy(), shift.detach().numpy()
    index = state.private(node)
    op = state.ops[index] if index is not None else None
    if (op is None or op.attrs.get("activation") != "NONE"
            or op.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")):
        return _scale_and_shift(state, node, scale, shift)
    w, b = op.inputs[1], op.inputs[3 if op.kind == "TRANSPOSE_CONV" else 2]
    data, bias = state.tensors[w].data, state.tensors[b].data
    axis = 3 if op.kind == "DEPTHWISE_CONV_2D" else 0
    scaled = data * scale.reshape([-1 if a == axis else 1 for a in range(data.ndim)])
    for index, new in ((w, scaled), (b, bias * scale + shift)):
        state.replace_data(index, new.astype(np.float32))
    state.node_of[value.tensor] = node.name
    return value


def _scale_and_shift(state: Lowering, node: fx.Node, scale: np.ndarray, shift: np.ndarray) -> Value:
    out = shape_of(node)
    if len(out) != 4:
        raise InputError("batch norm that does not follow a linear layer cannot be folded",
                         fix="move it behind the linear layer")
    x = state.get(node.args[0]).tensor
    w, b = _weights(state, node, x, scale.reshape(1, 1, 1, -1), torch.from_numpy(shift), len(scale))
    return state.emit("DEPTHWISE_CONV_2D", (x, w, b), nhwc(out), node, stride_h=1, stride_w=1, dilation_h=1,
                      dilation_w=1, padding="VALID", activation="NONE", depth_multiplier=1)


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
    low, high = (m.min_val, m.max_val) if m else (_argument(node, 1, "min_val", -1.0), _argument(node, 2, "max_val", 1.0))
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
             else _argument(node, 1, "negative_slope", 0.01))
    return _activation(state, node, None, "LEAKY_RELU", alpha=float(slope))


@handles(nn.Softmax, F.softmax, torch.softmax, "softmax")
def softmax(state: Lowering, node: fx.Node) -> Value | None:
    dim = state.modules[node.target].dim if node.op == "call_module" else _argument(node, 1, "dim")
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
    for argument in node.args[:2]:
        value = state.values.get(argument) if isinstance(argument, fx.Node) else argument
        if isinstance(value, Value):
            value = state.get(argument)
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
    rank, dim = len(shape_of(node)), _argument(node, 1, "dim", 0)
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
        amounts = _argument(node, 1, "pad")
        if _argument(node, 2, "mode", "constant") != "constant" or _argument(node, 3, "value", 0) not in (0, None):
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
        kernel, stride = _argument(node, 1, "kernel_size"), _argument(node, 2, "stride")
        padding = _argument(node, 3, "padding", 0)
        average = kind == "AVERAGE_POOL_2D"
        ceil_mode = _argument(node, 4 if average else 5, "ceil_mode", False)
        counts_padding = average and _argument(node, 5, "count_include_pad", True)
        dilation = 1 if average else _argument(node, 4, "dilation", 1)
    kernel, padding = _pair(kernel), _pair(padding)
    stride = kernel if stride is None or stride == [] else _pair(stride)
    if _pair(dilation) != (1, 1) or (counts_padding and any(padding)):
        raise InputError("pooling with dilation or with padding in the average is not supported",
                         fix="set dilation=1 and count_include_pad=False")
    if any(state.values[node.args[0]].pad):
        state.get(node.args[0])         # zeros must not be mistaken for TFLite's ignored border
    x, out = state.values[node.args[0]].tensor, shape_of(node)
    shape = state.tensors[x].shape
    same = [_same_before(shape[1 + a], out[2 + a], kernel[a], stride[a], 1) for a in (0, 1)]
    if not any(padding) and all(out[2 + a] == (shape[1 + a] - kernel[a]) // stride[a] + 1 for a in (0, 1)):
        mode = "VALID"
    elif same == list(padding):
        mode = "SAME"
    else:
        raise InputError(f"pooling with padding {padding}, ceil_mode={ceil_mode} is neither SAME nor VALID in TFLite",
                         fix="choose kernel, stride and padding so that the output is input/stride rounded up")
    return state.emit(kind, (x,), nhwc(out), node, filter_h=kernel[0], filter_w=kernel[1], stride_h=stride[0],
                      stride_w=stride[1], padding=mode, activation="NONE")


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
    dims, keep = _argument(node, 1, "dim"), bool(_argument(node, 2, "keepdim", False))
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
    mode = m.mode if m else _argument(node, 3, "mode", "nearest")
    aligned = bool(m.align_corners if m else _argument(node, 4, "align_corners", False))
    x, out = state.get(node.args[0]).tensor, shape_of(node)
    size = state.const(f"{node.name}_size", np.array(out[2:], np.int32))
    if mode == "nearest":
        return state.emit("RESIZE_NEAREST_NEIGHBOR", (x, size), nhwc(out), node, align_corners=False,
                          half_pixel_centers=False)
    if mode == "bilinear":
        return state.emit("RESIZE_BILINEAR", (x, size), nhwc(out), node, align_corners=aligned,
                          half_pixel_centers=not aligned)
    raise InputError(f"upsampling mode {mode!r} is not supported", fix="use 'nearest' or 'bilinear'")


@handles(nn.PixelShuffle, F.pixel_shuffle)
def pixel_shuffle(state: Lowering, node: fx.Node) -> Value:
    r = state.modules[node.target].upscale_factor if node.op == "call_module" else _argument(node, 1, "upscale_factor")
    value, index, channels = state.get(node.args[0]), state.private(node), shape_of(node)[1]
    if index is None or state.ops[index].kind != "CONV_2D":
        raise InputError("pixel shuffle must directly follow a convolution", fix="put a 1x1 convolution before it")
    # torch orders channels (C, dy, dx), TFLite (dy, dx, C): reorder the convolution's output channels once.
    order = tuple(int(i) for i in np.arange(channels * r * r).reshape(channels, r, r).transpose(1, 2, 0).ravel())
    _, w, b = state.ops[index].inputs
    for t in (w, b):
        state.replace_data(t, state.tensors[t].data[list(order)])
    state.weight_of[w] = (state.weight_of[w][0], order)
    return state.emit("DEPTH_TO_SPACE", (value.tensor,), nhwc(shape_of(node)), node, block_size=int(r))
