# SPDX-License-Identifier: Apache-2.0
"""Integer parameters of the element-wise ops: one derivation for the reference executor and for the C kernels.

Real multipliers are formed in double from the float32 scales, as the pinned tflite-micro wheel does. (TFLM's sources of
August 2026 divide in float32 for SUB, RELU, LEAKY_RELU and HARD_SWISH: there a value on a rounding tie may come out one
different.) A unary op on 8-bit values is a table of 256 bytes.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcunas.graph import fixed_functions
from mcunas.graph.arithmetic import activation_range, quantize_multiplier, rounding_shift_right, scale_int32
from mcunas.graph.ir import Graph, Op, Quant

SUM_SHIFT, WIDE_SUM_SHIFT = 20, 15      # ADD and SUB work on (q - zero point) * 2^20; int16: * 2^15
_INT16_MIN, _INT16_MAX = -(1 << 15), (1 << 15) - 1


@dataclass(frozen=True)
class SumParams:
    """ADD and SUB: out = zero_out + scale(scale(d0) +- scale(d1)), d = (q - zero) * 2^left; then limited to low..high.

    Each scale is a (mantissa, shift) pair with shift <= 0.
    """

    zero0: int
    zero1: int
    zero_out: int
    scale0: tuple[int, int]
    scale1: tuple[int, int]
    scale_out: tuple[int, int]
    low: int
    high: int
    left: int = SUM_SHIFT


@dataclass(frozen=True)
class RescaleParams:
    """QUANTIZE between int8 and int16: out = zero_out + scale(q - zero_in), limited to what the output's type holds."""

    zero_in: int
    zero_out: int
    scale: tuple[int, int]


@dataclass(frozen=True)
class ProductParams:
    """MUL: out = zero_out + scale((q0 - zero0) * (q1 - zero1)), limited to low..high."""

    zero0: int
    zero1: int
    zero_out: int
    scale_out: tuple[int, int]
    low: int
    high: int


def _quant(graph: Graph, index: int) -> Quant:
    return graph.tensors[index].quant


def _quants(graph: Graph, op: Op) -> list[tuple[np.float32, int]]:
    """(scale as float32, zero point) of the inputs and the output."""
    found = (_quant(graph, t) for t in (*op.inputs, *op.outputs))
    return [(q.scale[0], int(q.zero_point[0])) for q in found]


def sum_params(graph: Graph, op: Op) -> SumParams:
    """Raises ValueError when TFLite Micro cannot represent the scales (it wants every multiplier below 1)."""
    (s0, z0), (s1, z1), (s_out, z_out) = _quants(graph, op)
    twice, dtype = 2 * float(max(s0, s1)), graph.tensors[op.outputs[0]].dtype
    left = WIDE_SUM_SHIFT if dtype == "int16" else SUM_SHIFT
    first, second, out = (quantize_multiplier(r) for r in (
        float(s0) / twice, float(s1) / twice, twice / ((1 << left) * float(s_out))))
    if any(shift > 0 for _, shift in (first, second, out)):
        raise ValueError(f"the output scale {s_out:g} is too small for inputs of scale {s0:g} and {s1:g}")
    low, high = activation_range(op.attrs["activation"], float(s_out), z_out, dtype)
    return SumParams(z0, z1, z_out, first, second, out, low, high, left)


def rescale_params(graph: Graph, op: Op) -> RescaleParams:
    """Raises ValueError when the scaled value leaves int32."""
    (s_in, z_in), (s_out, z_out) = _quants(graph, op)
    return RescaleParams(z_in, z_out, _rescale(float(s_in) / float(s_out), graph.tensors[op.inputs[0]].dtype))


def product_params(graph: Graph, op: Op) -> ProductParams:
    """Raises ValueError when the scaled product leaves int32."""
    (s0, z0), (s1, z1), (s_out, z_out) = _quants(graph, op)
    scale = quantize_multiplier(float(s0) * float(s1) / float(s_out))
    dtype = graph.tensors[op.outputs[0]].dtype
    if scale[1] > (0 if dtype == "int16" else 14):           # |product| <= 2^30, < 2^16 + 2^10
        raise ValueError(f"the output scale {s_out:g} is too small for inputs of scale {s0:g} and {s1:g}")
    return ProductParams(z0, z1, z_out, scale, *activation_range(op.attrs["activation"], float(s_out), z_out, dtype))


def unary_table(graph: Graph, op: Op) -> np.ndarray:
    """256 outputs (dtype of the output) indexed by the input byte read as unsigned: int8 -1 is entry 255.

    Raises ValueError when TFLite Micro cannot represent the scales.
    """
    source, result = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    q = np.arange(256, dtype=np.uint8).view(source.dtype).astype(np.int64)
    limits = np.iinfo(result.dtype)
    return np.clip(_UNARY[op.kind](graph, op, q), limits.min, limits.max).astype(result.dtype)


def _rescale(scale: float, dtype: str = "int8") -> tuple[int, int]:
    found = quantize_multiplier(scale)
    if found[1] > (15 if dtype == "int16" else 23):         # |q - zero point| <= 2^15, < 2^8
        raise ValueError(f"a ratio of scales of {scale:g} is too large")
    return found


def _quantize(graph: Graph, op: Op, q: np.ndarray) -> np.ndarray:
    (s_in, z_in), (s_out, z_out) = _quants(graph, op)
    return scale_int32(q - z_in, *_rescale(float(s_in) / float(s_out))) + z_out


def _relu(graph: Graph, op: Op, q: np.ndarray) -> np.ndarray:
    (s_in, z_in), (s_out, z_out) = _quants(graph, op)
    return np.maximum(scale_int32(q - z_in, *_rescale(float(s_in) / float(s_out))) + z_out, z_out)


def _relu6(graph: Graph, op: Op, q: np.ndarray) -> np.ndarray:
    """TFLite Micro clamps the input bytes and does not rescale."""
    scale, zero = _quants(graph, op)[0]
    return np.clip(q, *activation_range("RELU6", float(scale), zero))


def _leaky_relu(graph: Graph, op: Op, q: np.ndarray) -> np.ndarray:
    (s_in, z_in), (s_out, z_out) = _quants(graph, op)
    identity = float(s_in) / float(s_out)
    slope = float(s_in) * float(np.float32(op.attrs["alpha"])) / float(s_out)
    negative = scale_int32(q - z_in, *_rescale(abs(slope)))
    return z_out + np.where(q >= z_in, scale_int32(q - z_in, *_rescale(identity)),
                            -negative if slope < 0 else negative)


def _saturating(function: Callable, full_scale_bits: int, low: int) -> Callable:
    """LOGISTIC and TANH: a Q4 argument; the result keeps `full_scale_bits` bits and is moved by `low`."""
    def evaluate(graph: Graph, op: Op, q: np.ndarray) -> np.ndarray:
        scale, zero = _quants(graph, op)[0]
        mantissa, shift = quantize_multiplier(float(scale) * (1 << 27))
        if shift < 0:
            raise ValueError(f"the input scale {scale:g} is too small")
        radius = math.floor(15 * (1 << 27) / (1 << shift))      # at and beyond it the output is saturated
        d = q - zero
        inside = np.clip(d, -radius, radius)
        value = rounding_shift_right(function(scale_int32(inside, mantissa, shift), 4), 31 - full_scale_bits) + low
        return np.where(d <= -radius, -128, np.where(d >= radius, 127, value))
    return evaluate


def _hard_swish(graph: Graph, op: Op, q: np.ndarray) -> np.ndarray:
    """x * relu6(x + 3) / 6 in 16-bit fixed point."""
    (s_in, z_in), (s_out, z_out) = _quants(graph, op)
    fine = float(s_in) / 128
    out_mantissa, out_shift = _multiplier16(fine / float(s_out))
    gate_mantissa, gate_shift = _multiplier16(fine * 32768 / 3)
    if out_shift > 0:
        raise ValueError(f"the output scale {s_out:g} is too small for an input of scale {s_in:g}")
    x = (q - z_in) << 7
    value = _multiply16(x, out_mantissa)
    gate = _clip16(x << max(gate_shift - 1, 0))
    gate = _multiply16(gate, gate_mantissa)
    if gate_shift > 0:
        gate = _clip16(gate << 1)
    gate = (_shift16(gate, max(-gate_shift, 0)) + (1 << 15)) >> 1           # [-1, 1] to [0, 1]
    product = gate * value
    product = np.where(product >= 0, product >> 15, -((-product) >> 15))    # towards zero
    return _wrap16(_shift16(product, -out_shift) + z_out)


def _multiplier16(real: float) -> tuple[int, int]:
    """(mantissa in 15 bits, shift) of a real multiplier; the mantissa is rounded from 31 bits."""
    mantissa, shift = quantize_multiplier(real)
    return (_INT16_MAX if mantissa >= (1 << 31) - (1 << 15) else (mantissa + (1 << 15)) >> 16), shift


def _clip16(x: np.ndarray) -> np.ndarray:
    return np.clip(x, _INT16_MIN, _INT16_MAX)


def _wrap16(x: Any) -> Any:
    return ((x + (1 << 15)) & 0xFFFF) - (1 << 15)


def _multiply16(a: np.ndarray, b: int) -> np.ndarray:
    """round(a * b / 2^15), ties up; b is positive."""
    return (a * b + (1 << 14)) >> 15


def _shift16(x: np.ndarray, exponent: int) -> np.ndarray:
    """Rounding shift right, ties away from zero, with a remainder mask that is itself 16 bits wide."""
    mask = int(_wrap16(np.int64((1 << exponent) - 1)))
    return (x >> exponent) + ((x & mask) > (mask >> 1) + (x < 0))


_UNARY: dict[str, Callable[[Graph, Op, np.ndarray], np.ndarray]] = {
    "QUANTIZE": _quantize, "RELU": _relu, "RELU6": _relu6, "LEAKY_RELU": _leaky_relu, "HARD_SWISH": _hard_swish,
    "LOGISTIC": _saturating(fixed_functions.logistic, 8, -128), "TANH": _saturating(fixed_functions.tanh, 7, 0),
}
