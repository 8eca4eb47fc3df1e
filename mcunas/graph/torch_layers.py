# SPDX-License-Identifier: Apache-2.0
"""torch layers with weights as ops of a float Graph: convolutions, linear, batch norm, pixel shuffle (see torch_lower).

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
from mcunas.graph.torch_lower import Lowering, Value, handles, nhwc
from mcunas.graph.torch_trace import shape_of


def pair(value: Any) -> tuple[int, int]:
    return (int(value[0]), int(value[1])) if isinstance(value, (tuple, list)) else (int(value), int(value))


def argument(node: fx.Node, position: int, name: str, default: Any = None) -> Any:
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)


def same_before(size: int, out: int, kernel: int, stride: int, dilation: int) -> int | None:
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
    before = [same_before(shape[1 + a], out[2 + a], kernel[a], stride[a], dilation[a]) for a in (0, 1)]
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
    kernel, stride, dilation = pair(m.kernel_size), pair(m.stride), pair(m.dilation)
    padding = m.padding
    if padding == "same":
        padding = tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilation))
        if any(d * (k - 1) % 2 for k, d in zip(kernel, dilation)):
            raise InputError("padding='same' with an even kernel", fix="pad explicitly with nn.ZeroPad2d")
    padding = (0, 0) if padding == "valid" else pair(padding)
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
    if m.groups != 1 or pair(m.dilation) != (1, 1):
        raise InputError("a transposed convolution with groups or dilation is not supported",
                         fix="use groups=1 and dilation=1")
    x = state.get(node.args[0]).tensor
    out, size = shape_of(node), state.tensors[x].shape[1:3]
    kernel, stride, padding = pair(m.kernel_size), pair(m.stride), pair(m.padding)
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
    if m.running_var is None:
        raise InputError("a batch norm without running statistics is not supported", fix="use track_running_stats=True")
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


@handles(nn.PixelShuffle, F.pixel_shuffle)
def pixel_shuffle(state: Lowering, node: fx.Node) -> Value:
    r = state.modules[node.target].upscale_factor if node.op == "call_module" else argument(node, 1, "upscale_factor")
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
