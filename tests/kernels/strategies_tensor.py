# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies: random single-op graphs of the element-wise, moving and resizing kinds, with inputs.

Each draws (graph, inputs). Axes of 1, operands that broadcast both ways, constants, zero points at both ends, and scale
ratios that are ordinary, or near the ends of what TFLite Micro takes, or such that values fall on rounding ties, where
the last bit of a multiplier decides.
"""
from __future__ import annotations

from math import prod

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

from mcunas.errors import InputError
from mcunas.graph import Graph, Op, Quant, Tensor, verify
from mcunas.graph.shapes import infer
from mcunas.graph.spec import ACTIVATIONS

Case = tuple[Graph, list[np.ndarray]]

_ZERO_POINTS = st.one_of(st.sampled_from([-128, -127, -1, 0, 127]), st.integers(-128, 127))
_SCALES = st.one_of(st.floats(2.0 ** -16, 16.0, width=32), st.sampled_from([2.0 ** -7, 0.25, 1.0]))
_SEEDS = st.integers(0, 2 ** 32 - 1)
_DIMS = st.sampled_from([1, 1, 2, 3, 4, 5, 7])
_MOST_ELEMENTS = 4000


@st.composite
def _filled(draw, shape: tuple[int, ...], dtype: str = "int8") -> np.ndarray:
    """Random bytes, or only the two ends of the range."""
    rng = np.random.default_rng(draw(_SEEDS))
    limits = np.iinfo(dtype)
    if draw(st.integers(0, 4)) == 0:
        return rng.choice([limits.min, limits.max], shape).astype(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


@st.composite
def _shape(draw, low: int = 1, high: int = 5) -> tuple[int, ...]:
    shape = tuple(draw(st.lists(_DIMS, min_size=low, max_size=high)))
    while prod(shape) > _MOST_ELEMENTS:
        shape = tuple(max(1, d - 1) for d in shape)
    return shape


_QUANTS = st.builds(Quant.of, _SCALES, _ZERO_POINTS)


@st.composite
def _case(draw, op: Op, tensors: list[Tensor], inputs: list[int]) -> Case:
    """A verified graph around `op`; output shapes are inferred unless the tensor has one."""
    graph = Graph(tuple(tensors), (op,), tuple(inputs), op.outputs)
    try:
        for t, shape in zip(op.outputs, infer(graph, op)):
            tensors[t] = Tensor(tensors[t].name, shape, tensors[t].dtype, tensors[t].quant)
        graph = verify(graph.with_(tensors=tuple(tensors)))
    except (InputError, ValueError):
        reject()
    return graph, [draw(_filled(graph.tensors[i].shape, graph.tensors[i].dtype)) for i in graph.inputs]


def _const(name: str, values: object) -> Tensor:
    data = np.array(values, np.int32)
    return Tensor(name, data.shape, "int32", None, data)


@st.composite
def _ratio(draw, low_exponent: int, high_exponent: int) -> float:
    """Output scale over input scale: between 1/4 and 4, anywhere in 2^low..2^high, 2^k / odd, or a power of two."""
    form = draw(st.integers(0, 6))
    if form == 0:
        return 2.0 ** draw(st.floats(low_exponent, high_exponent))
    if form < 3:
        power = 2 ** draw(st.integers(1, 8))
        return power / draw(st.integers(power // 8, 2 * power).map(lambda k: 2 * k + 1))
    return draw(st.floats(0.25, 4.0) if form < 5 else st.sampled_from([0.5, 1.0, 2.0, 4.0, 8.0]))


@st.composite
def _operands(draw) -> tuple[list[tuple[int, ...]], bool]:
    """Two shapes that broadcast (now and then to many values), and whether both operands are one tensor."""
    if draw(st.integers(0, 7)) == 0:
        return [(96, 1), (1, 96)], False
    shape = draw(_shape(1, 6))
    if draw(st.integers(0, 3)) == 0:
        return [shape, shape], draw(st.booleans())
    shapes = []
    for _ in range(2):
        kept = tuple(d if draw(st.integers(0, 2)) else 1 for d in shape)
        shapes.append(kept[draw(st.integers(0, len(kept) - 1)):])
    return shapes, False


@st.composite
def binary(draw, kind: str) -> Case:
    shapes, same = draw(_operands())
    quants = [draw(_QUANTS), draw(_QUANTS)]
    if kind == "MUL":
        out_scale = quants[0].per_tensor[0] * quants[1].per_tensor[0] * 16 * draw(_ratio(-18, 30))
    else:
        out_scale = max(q.per_tensor[0] for q in quants) * draw(_ratio(-19, 12))
    if kind in ("MAXIMUM", "MINIMUM"):
        quants = [quants[0]] * 3
    else:
        quants.append(Quant.of(float(np.float32(out_scale)), draw(_ZERO_POINTS)))
    tensors = [Tensor("a", shapes[0], "int8", quants[0]), Tensor("b", shapes[1], "int8", quants[1]),
               Tensor("y", (), "int8", quants[2])]
    inputs = [0, 1]
    const = draw(st.sampled_from([None, None, 0, 1]))
    if same:
        inputs = [0]
    elif const is not None:
        shape = () if draw(st.integers(0, 5)) == 0 else shapes[const]
        tensors[const] = Tensor("const", shape, "int8", quants[const], draw(_filled(shape)))
        inputs = [1 - const]
    attrs = {} if kind in ("MAXIMUM", "MINIMUM") else {"activation": draw(st.sampled_from(ACTIVATIONS))}
    return draw(_case(Op(kind, (0, 0) if same else (0, 1), (2,), attrs), tensors, inputs))


@st.composite
def unary(draw, kind: str, source: str = "int8", result: str = "int8") -> Case:
    """Every input byte occurs."""
    shape = draw(st.sampled_from([(256,), (1, 16, 16, 1), (2, 1, 3, 19, 3), (257,), (1, 1, 1, 300)]))
    before = draw(_QUANTS)
    scale = before.per_tensor[0]
    after = {"LOGISTIC": Quant.of(1 / 256, -128), "TANH": Quant.of(1 / 128, 0), "RELU6": before}.get(
        kind, Quant.of(float(np.float32(scale * draw(_ratio(-22, 20)))), draw(_ZERO_POINTS)))
    before, after = (Quant(q.scale, q.zero_point + 128 * (dtype == "uint8"))
                     for q, dtype in ((before, source), (after, result)))
    attrs = {"alpha": draw(st.one_of(st.sampled_from([0.0, 1.0, 0.25]), st.floats(-2, 2, width=32)))} \
        if kind == "LEAKY_RELU" else {}
    graph, inputs = draw(_case(Op(kind, (0,), (1,), attrs), [Tensor("x", shape, source, before),
                                                             Tensor("y", shape, result, after)], [0]))
    order = np.random.default_rng(draw(_SEEDS)).permutation(prod(shape))
    every = np.arange(prod(shape), dtype=np.int64).astype(np.uint8).view(source)[order]
    return graph, [every.reshape(shape)]


@st.composite
def quantize_float(draw) -> Case:
    """Values around every rounding tie; far out only as far as the C standard defines the conversion to int32."""
    shape, quant = draw(_shape()), draw(_QUANTS)
    graph = verify(Graph((Tensor("x", shape, "float32"), Tensor("y", shape, "int8", quant)),
                         (Op("QUANTIZE", (0,), (1,)),), (0,), (1,)))
    rng = np.random.default_rng(draw(_SEEDS))
    steps = rng.choice([0.5, 0.25, 0.4999999, 1e6], shape) * rng.integers(-600, 600, shape)
    return graph, [(steps * quant.per_tensor[0]).astype(np.float32)]


@st.composite
def dequantize(draw) -> Case:
    shape = draw(_shape())
    return draw(_case(Op("DEQUANTIZE", (0,), (1,)), [Tensor("x", shape, "int8", draw(_QUANTS)),
                                                    Tensor("y", shape, "float32")], [0]))


@st.composite
def concatenation(draw) -> Case:
    shape, count, quant = draw(_shape()), draw(st.integers(1, 10)), draw(_QUANTS)
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    tensors, inputs = [], []
    for i in range(count):
        dims = list(shape)
        dims[axis] = draw(_DIMS)
        const = i > 0 and draw(st.integers(0, 3)) == 0
        tensors.append(Tensor(f"x{i}", tuple(dims), "int8", quant, draw(_filled(tuple(dims))) if const else None))
        if not const:
            inputs.append(i)
    order = [draw(st.sampled_from(inputs)) if draw(st.integers(0, 4)) == 0 else i for i in range(count)]
    used = [i for i in inputs if i in order]
    tensors.append(Tensor("y", (), "int8", quant))
    return draw(_case(Op("CONCATENATION", tuple(order), (count,), {"axis": axis, "activation": "NONE"}), tensors,
                      used or reject()))


@st.composite
def pad(draw) -> Case:
    shape, quant = draw(_shape()), draw(_QUANTS)
    pads = [[draw(st.integers(0, 3)), draw(st.integers(0, 3))] for _ in shape]
    return draw(_case(Op("PAD", (0, 1), (2,)), [Tensor("x", shape, "int8", quant), _const("pads", pads),
                                                Tensor("y", (), "int8", quant)], [0]))


@st.composite
def transpose(draw) -> Case:
    shape, quant = draw(_shape()), draw(_QUANTS)
    order = draw(st.permutations(range(len(shape))))
    return draw(_case(Op("TRANSPOSE", (0, 1), (2,)), [Tensor("x", shape, "int8", quant), _const("order", order),
                                                      Tensor("y", (), "int8", quant)], [0]))


@st.composite
def strided_slice(draw) -> Case:
    shape, quant = draw(_shape(1, 4)), draw(_QUANTS)
    masks = {name: draw(st.integers(0, 15)) if draw(st.booleans()) else 0 for name in ("begin_mask", "end_mask")}
    masks |= {"shrink_axis_mask": draw(st.integers(0, 15)) if draw(st.integers(0, 2)) == 0 else 0,
              "ellipsis_mask": 0, "new_axis_mask": 0}
    picks = []
    for axis, size in enumerate(shape):
        step = draw(st.sampled_from([1, 1, 2, 3, -1, -2]))
        ends = sorted((draw(st.integers(0, size)), draw(st.integers(0, size + 2))), reverse=step < 0)
        if masks["shrink_axis_mask"] >> axis & 1:
            step, ends, masks["begin_mask"] = abs(step), (min(ends[0], size - 1), 0), masks["begin_mask"] & ~(1 << axis)
        picks.append([e - size if e < size and draw(st.booleans()) else e for e in ends] + [step])
    columns = [[p[k] for p in picks] for k in range(3)]
    tensors = [Tensor("x", shape, "int8", quant), *(_const(n, c) for n, c in zip(("begin", "end", "step"), columns)),
               Tensor("y", (), "int8", quant)]
    return draw(_case(Op("STRIDED_SLICE", (0, 1, 2, 3), (4,), masks), tensors, [0]))


@st.composite
def split(draw) -> Case:
    shape, quant, parts = list(draw(_shape())), draw(_QUANTS), draw(st.integers(1, 5))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    shape[axis] *= parts
    tensors = [_const("axis", axis), Tensor("x", tuple(shape), "int8", quant)]
    tensors += [Tensor(f"y{i}", (), "int8", quant) for i in range(parts)]
    return draw(_case(Op("SPLIT", (0, 1), tuple(range(2, 2 + parts)), {"num_splits": parts}), tensors, [1]))


@st.composite
def depth_to_space(draw) -> Case:
    (n, h, w, c), quant, block = draw(_shape(4, 4)), draw(_QUANTS), draw(st.integers(1, 3))
    tensors = [Tensor("x", (n, h, w, c * block * block), "int8", quant), Tensor("y", (), "int8", quant)]
    return draw(_case(Op("DEPTH_TO_SPACE", (0,), (1,), {"block_size": block}), tensors, [0]))


@st.composite
def resize(draw, kind: str) -> Case:
    n, h, w, c = draw(st.integers(1, 2)), draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.integers(1, 5))
    size = [draw(st.one_of(st.integers(1, 24), st.sampled_from([d, 2 * d, 3 * d]))) for d in (h, w)]
    quant = draw(_QUANTS)
    attrs = {"align_corners": draw(st.booleans()), "half_pixel_centers": draw(st.booleans())}
    return draw(_case(Op(kind, (0, 1), (2,), attrs), [Tensor("x", (n, h, w, c), "int8", quant), _const("size", size),
                                                      Tensor("y", (), "int8", quant)], [0]))


@st.composite
def renaming(draw, kind: str) -> Case:
    shape, quant = draw(_shape()), draw(_QUANTS)
    extra: list[Tensor] = []
    if kind == "RESHAPE":
        out = tuple(reversed(shape))
        extra = [_const("shape", out)]
    elif kind == "EXPAND_DIMS":
        axis = draw(st.integers(0, len(shape)))
        out = (*shape[:axis], 1, *shape[axis:])
        extra = [_const("axis", axis - draw(st.sampled_from([0, len(out)])))]
    else:
        kept = [d > 1 or draw(st.booleans()) for d in shape]
        out = tuple(d for d, keep in zip(shape, kept) if keep)
    tensors = [Tensor("x", shape, "int8", quant), *extra, Tensor("y", out, "int8", quant)]
    inputs = tuple(range(len(tensors) - 1))
    return draw(_case(Op(kind, inputs, (len(inputs),)), tensors, [0]))


ELEMENTWISE = {
    **{kind: binary(kind) for kind in ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM")},
    **{kind: unary(kind) for kind in ("LOGISTIC", "TANH", "RELU", "RELU6", "HARD_SWISH", "LEAKY_RELU", "QUANTIZE")},
    "QUANTIZE from uint8": unary("QUANTIZE", "uint8"), "QUANTIZE to uint8": unary("QUANTIZE", result="uint8"),
    "QUANTIZE from float32": quantize_float(), "DEQUANTIZE": dequantize(),
}
MOVEMENT = {
    "CONCATENATION": concatenation(), "PAD": pad(), "TRANSPOSE": transpose(), "STRIDED_SLICE": strided_slice(),
    "SPLIT": split(), "DEPTH_TO_SPACE": depth_to_space(),
    **{kind: renaming(kind) for kind in ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")},
}
RESIZE = {kind: resize(kind) for kind in ("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR")}
