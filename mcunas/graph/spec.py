# SPDX-License-Identifier: Apache-2.0
"""What each op kind may look like, as data: arity, attributes, constant inputs, and its place in TFLite's schema.

One table serves the reader, the writer and `verify`. Attribute values are spelled out ("SAME", "RELU6"), never codes.
"""
from __future__ import annotations

from dataclasses import dataclass, field

ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6")   # position = ActivationFunctionType in the schema
PADDINGS = ("SAME", "VALID")                              # position = Padding in the schema
# These also take ((top, bottom), (left, right)) in pixels: the compiler's own form, which no .tflite can hold.
EXPLICIT_PADDING = ("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D")
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


@dataclass(frozen=True)
class Attr:
    """One attribute: its field in the schema's options table and how its values map (`choices`: enum positions)."""

    field: str
    choices: tuple[str, ...] = ()
    default: object = 0


@dataclass(frozen=True)
class KindSpec:
    """Legality of one op kind.

    inputs: (fewest, most) inputs, `most` = 0 for any number. const: input positions that must be constants.
    same_quant: every integer input and output shares one scale and zero point (the kernel only moves bytes).
    options: the schema's options table, "" when the kind has none.
    """

    inputs: tuple[int, int]
    options: str = ""
    attrs: dict[str, Attr] = field(default_factory=dict)
    outputs: int = 1
    const: tuple[int, ...] = ()
    same_quant: bool = False
    dtypes: tuple[tuple[str, str], ...] = (("int8", "int8"),)    # allowed (data input, output) pairs


_WIDE = (("int8", "int8"), ("int16", "int16"))      # also on int16 activations (with int8 weights: TFLite's 16x8)
_ACT = Attr("fusedActivationFunction", ACTIVATIONS, "NONE")
_STRIDES = {"stride_h": Attr("strideH", default=1), "stride_w": Attr("strideW", default=1)}
_PADDING = {"padding": Attr("padding", PADDINGS, "SAME")}
_DILATION = {"dilation_h": Attr("dilationHFactor", default=1), "dilation_w": Attr("dilationWFactor", default=1)}
_CONV = {**_STRIDES, **_DILATION, **_PADDING, "activation": _ACT}
_POOL = {"filter_h": Attr("filterHeight"), "filter_w": Attr("filterWidth"), **_STRIDES, **_PADDING, "activation": _ACT}
_RESIZE = {"align_corners": Attr("alignCorners", default=False),
           "half_pixel_centers": Attr("halfPixelCenters", default=False)}
_SLICE = {"begin_mask": Attr("beginMask"), "end_mask": Attr("endMask"), "ellipsis_mask": Attr("ellipsisMask"),
          "new_axis_mask": Attr("newAxisMask"), "shrink_axis_mask": Attr("shrinkAxisMask")}

KINDS: dict[str, KindSpec] = {
    "CONV_2D": KindSpec((2, 3), "Conv2DOptions", _CONV, const=(1, 2), dtypes=_WIDE),
    "DEPTHWISE_CONV_2D": KindSpec((2, 3), "DepthwiseConv2DOptions",
                                  {**_CONV, "depth_multiplier": Attr("depthMultiplier", default=1)}, const=(1, 2),
                                  dtypes=_WIDE),
    "FULLY_CONNECTED": KindSpec((2, 3), "FullyConnectedOptions",
                                {"activation": _ACT, "keep_dims": Attr("keepNumDims", default=False)}, const=(1, 2),
                                dtypes=_WIDE),
    "TRANSPOSE_CONV": KindSpec((3, 4), "TransposeConvOptions", {**_STRIDES, **_PADDING, "activation": _ACT},
                               const=(0, 1, 3), dtypes=_WIDE),
    "ADD": KindSpec((2, 2), "AddOptions", {"activation": _ACT}, dtypes=_WIDE),
    "SUB": KindSpec((2, 2), "SubOptions", {"activation": _ACT}, dtypes=_WIDE),
    "MUL": KindSpec((2, 2), "MulOptions", {"activation": _ACT}, dtypes=_WIDE),
    "MAXIMUM": KindSpec((2, 2), "MaximumMinimumOptions", same_quant=True),
    "MINIMUM": KindSpec((2, 2), "MaximumMinimumOptions", same_quant=True),
    "CONCATENATION": KindSpec((1, 0), "ConcatenationOptions", {"axis": Attr("axis"), "activation": _ACT},
                              same_quant=True, dtypes=_WIDE),
    "PAD": KindSpec((2, 2), "PadOptions", const=(1,), same_quant=True, dtypes=_WIDE),
    "AVERAGE_POOL_2D": KindSpec((1, 1), "Pool2DOptions", _POOL, same_quant=True, dtypes=_WIDE),
    "MAX_POOL_2D": KindSpec((1, 1), "Pool2DOptions", _POOL, same_quant=True, dtypes=_WIDE),
    "MEAN": KindSpec((2, 2), "ReducerOptions", {"keep_dims": Attr("keepDims", default=False)}, const=(1,), dtypes=_WIDE),
    "RESHAPE": KindSpec((1, 2), "ReshapeOptions", const=(1,), same_quant=True, dtypes=_WIDE),
    "SQUEEZE": KindSpec((1, 1), "SqueezeOptions", same_quant=True, dtypes=_WIDE),
    "EXPAND_DIMS": KindSpec((2, 2), "ExpandDimsOptions", const=(1,), same_quant=True, dtypes=_WIDE),
    "SOFTMAX": KindSpec((1, 1), "SoftmaxOptions", {"beta": Attr("beta", default=1.0)}, dtypes=_WIDE),
    "LOGISTIC": KindSpec((1, 1), dtypes=_WIDE),
    "TANH": KindSpec((1, 1), dtypes=_WIDE),
    "RELU": KindSpec((1, 1)),
    "RELU6": KindSpec((1, 1)),
    "HARD_SWISH": KindSpec((1, 1), "HardSwishOptions"),
    "LEAKY_RELU": KindSpec((1, 1), "LeakyReluOptions", {"alpha": Attr("alpha", default=0.0)}),
    "QUANTIZE": KindSpec((1, 1), "QuantizeOptions",
                         dtypes=(("float32", "int8"), ("int8", "int8"), ("uint8", "int8"), ("int8", "uint8"),
                                 ("int8", "int16"), ("int16", "int8"), ("int16", "int16"), ("float32", "int16"))),
    "DEQUANTIZE": KindSpec((1, 1), "DequantizeOptions", dtypes=(("int8", "float32"), ("int16", "float32"))),
    "TRANSPOSE": KindSpec((2, 2), "TransposeOptions", const=(1,), same_quant=True, dtypes=_WIDE),
    "STRIDED_SLICE": KindSpec((4, 4), "StridedSliceOptions", _SLICE, const=(1, 2, 3), same_quant=True, dtypes=_WIDE),
    "SPLIT": KindSpec((2, 2), "SplitOptions", {"num_splits": Attr("numSplits")}, outputs=0, const=(0,),
                      same_quant=True, dtypes=_WIDE),
    "RESIZE_NEAREST_NEIGHBOR": KindSpec((2, 2), "ResizeNearestNeighborOptions", _RESIZE, const=(1,), same_quant=True,
                                        dtypes=_WIDE),
    "RESIZE_BILINEAR": KindSpec((2, 2), "ResizeBilinearOptions", _RESIZE, const=(1,), same_quant=True),
    "DEPTH_TO_SPACE": KindSpec((1, 1), "DepthToSpaceOptions", {"block_size": Attr("blockSize")}, same_quant=True),
}


def data_inputs(kind: str, inputs: tuple[int, ...]) -> tuple[int, ...]:
    """The inputs that carry data: all but the constants that parameterise the op (axes, sizes, weights)."""
    skip = KINDS[kind].const
    return tuple(t for i, t in enumerate(inputs) if i not in skip and t >= 0)
