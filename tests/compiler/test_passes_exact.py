# SPDX-License-Identifier: Apache-2.0
"""Where folding and fusing are exact they happen, and where they are not they do not: cases by hand."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mcunas.compiler.passes import PASSES, optimize
from mcunas.compiler.passes.constant_arithmetic import constant_arithmetic
from mcunas.compiler.passes.constant_folding import constant_folding
from mcunas.compiler.passes.fuse_activation import fuse_activation
from mcunas.compiler.passes.pad_folding import pad_folding
from mcunas.compiler.passes.views import views
from mcunas.errors import InputError
from mcunas.graph import Graph, Op, Quant, Tensor, reference, verify, write_tflite
from tests.compiler.passes_by_hand import Net, data, kinds
from tests.compiler.passes_strategies import differences, outputs

_BOX = np.ones((1, 3, 3, 1), int)
_POOL = {"filter_h": 3, "filter_w": 3, "stride_h": 2, "stride_w": 2, "padding": "VALID", "activation": "NONE"}
_PIXEL = dict.fromkeys(("filter_h", "filter_w", "stride_h", "stride_w"), 1)
_NONE = {"activation": "NONE"}


def ramp(graph: Graph) -> list[np.ndarray]:
    """All byte values, over and over."""
    shape = graph.tensors[graph.inputs[0]].shape
    return [(np.arange(np.prod(shape)) * 37 % 256 - 128).astype(np.int8).reshape(shape)]


def after(one_pass, graph: Graph) -> Graph:
    result = one_pass(graph)
    assert differences(graph, result, ramp(graph)) == []
    return result


# constants

def test_ops_on_constants_are_computed_and_unused_ones_dropped():
    net = Net(1, 4, 4, 1)
    three = net.const(np.full((1, 1, 1, 1), 3), "int8", Quant.of(1.0))
    net.op("RELU", 0)                                                               # nobody reads it
    six = net.op("ADD", three, three, **_NONE)
    graph = after(constant_folding, net.graph(net.op("MAXIMUM", 0, net.op("RELU", six))))
    assert kinds(graph) == ["MAXIMUM"] and data(graph, 0, 1) == [[[[6]]]]
    assert len(graph.tensors) == 3


def test_a_graph_output_is_never_folded():
    net = Net(1, 1)
    graph = net.graph(net.op("RELU", net.const([[3]], "int8", Quant.of(1.0))), net.op("RELU", 0))
    assert constant_folding(graph) is graph


# views and identities

def test_a_chain_of_views_becomes_one_reshape():
    net = Net(1, 2, 3, 1)
    x = net.op("TRANSPOSE", net.reshape(0, 1, 6, 1), net.const([0, 2, 1]))          # moves an axis of 1
    x = net.op("SQUEEZE", net.op("EXPAND_DIMS", x, net.const(0), shape=(1, 1, 1, 6)), shape=(6,))
    graph = after(views, net.graph(net.op("RELU", x, zero=3)))
    assert kinds(graph) == ["RESHAPE", "RELU"]


def test_a_view_as_a_scalar_stays_as_it_is():
    net = Net(1)
    masks = _SLICE | {"shrink_axis_mask": 1}
    graph = net.graph(net.op("RELU", net.op("STRIDED_SLICE", 0, *map(net.const, ([0], [1], [1])), **masks)))
    assert views(graph) is graph


_SLICE = dict.fromkeys(("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0)
_IDENTITIES = {
    "reshape": lambda net, x: net.reshape(net.reshape(x, 9), 1, 3, 3, 1),
    "quantize": lambda net, x: net.op("QUANTIZE", x),
    "slice": lambda net, x: net.op("STRIDED_SLICE", x, *map(net.const, ([0] * 4, [1, 3, 9, 1], [1] * 4)), **_SLICE),
    "pad": lambda net, x: net.pad(x, (0, 0), (0, 0)),
    "transpose": lambda net, x: net.op("TRANSPOSE", x, net.const([0, 1, 2, 3])),
    "concatenation": lambda net, x: net.op("CONCATENATION", x, axis=1, **_NONE),
    "relu behind relu": lambda net, x: net.op("RELU", net.op("RELU", x)),
    "add of zeros": lambda net, x: net.op("ADD", x, net.const([0], "int8", Quant.of(1.0)), **_NONE),
    "mul by one": lambda net, x: net.op("MUL", net.const([2], "int8", Quant.of(0.5)), x, **_NONE),
    "maximum with the least": lambda net, x: net.op("MAXIMUM", x, net.const([-128], "int8", Quant.of(1.0))),
    "pool of one pixel": lambda net, x: net.op("MAX_POOL_2D", x, **_POOL | _PIXEL),
}


@pytest.mark.parametrize("name", _IDENTITIES)
def test_an_op_that_changes_nothing_goes(name):
    net = Net(1, 3, 3, 1)
    x = _IDENTITIES[name](net, net.conv(0, [[1]], [5]))
    graph = after(views, net.graph(x))
    assert kinds(graph) == (["CONV_2D", "RELU"] if name == "relu behind relu" else ["CONV_2D"])


@pytest.mark.parametrize("change", [
    lambda net, x: net.op("QUANTIZE", x, scale=1.0000001), lambda net, x: net.op("QUANTIZE", x, zero=1),
    lambda net, x: net.op("RELU", x), lambda net, x: net.op("TRANSPOSE", x, net.const([0, 2, 1, 3])),
    lambda net, x: net.op("ADD", x, net.const([1], "int8", Quant.of(1.0)), **_NONE)])
def test_an_op_that_changes_a_byte_or_its_meaning_stays(change):
    net = Net(1, 3, 3, 1)
    graph = net.graph(change(net, net.conv(0, [[1]], [5])))
    assert views(graph) is graph


def test_input_and_output_keep_their_names_when_all_between_goes():
    net = Net(1, 3, 3, 1)
    graph = net.graph(net.op("QUANTIZE", net.op("QUANTIZE", 0)))
    assert kinds(after(views, graph)) == ["QUANTIZE"]


# padding

@pytest.mark.parametrize(("size", "sides", "stride", "padding"), [
    (6, (1, 1), 1, "SAME"), (6, (0, 1), 2, "SAME"), (6, (1, 1), 2, ((1, 0), (1, 0))), (5, (1, 1), 2, "SAME"),
    (5, (2, 2), 1, ((2, 2), (2, 2))), (6, (0, 1), 3, "VALID")])
@pytest.mark.parametrize("kind", ["conv", "depthwise"])
def test_pad_before_a_valid_convolution_is_folded(kind, size, sides, stride, padding):
    net = Net(1, size, size, 1, zero=5)
    x = net.pad(0, sides, sides)
    y = net.conv(x, _BOX, [3], stride=stride) if kind == "conv" else net.depthwise(x, _BOX[0], [3], stride=stride)
    graph = after(pad_folding, net.graph(y))
    assert len(graph.ops) == 1 and graph.ops[0].attrs["padding"] == padding


def test_pad_before_a_same_convolution_adds_up():
    net = Net(1, 6, 6, 1)
    graph = after(pad_folding, net.graph(net.conv(net.pad(0, (1, 1), (0, 1)), _BOX, padding="SAME")))
    assert graph.ops[0].attrs["padding"] == ((2, 2), (1, 2))


def test_pad_is_folded_into_a_maximum_only_where_no_value_lies_below_it():
    for activation, expected in (("RELU", ["CONV_2D", "MAX_POOL_2D"]), ("NONE", ["CONV_2D", "PAD", "MAX_POOL_2D"])):
        net = Net(1, 6, 6, 1)
        x = net.pad(net.conv(0, [[1]], [5], activation=activation), (1, 1), (1, 1))
        assert kinds(after(pad_folding, net.graph(net.op("MAX_POOL_2D", x, **_POOL)))) == expected


def test_pads_that_must_stay():
    average, channels, wide, shared = Net(1, 6, 6, 1), Net(1, 6, 6, 1), Net(1, 6, 6, 1), Net(1, 6, 6, 1)
    padded = shared.pad(0, (1, 1), (1, 1))
    deeper = channels.op("PAD", 0, channels.const([(0, 0), (1, 1), (1, 1), (0, 1)]))
    cases = [
        average.graph(average.op("AVERAGE_POOL_2D", average.pad(0, (1, 1), (1, 1)), **_POOL)),
        channels.graph(channels.conv(deeper, [[1, 1]])),
        wide.graph(wide.conv(wide.pad(0, (3, 0), (0, 0)), _BOX)),                   # windows beside the input
        shared.graph(shared.conv(padded, _BOX), padded)]
    assert all(pad_folding(graph) is graph for graph in cases)


def test_a_tflite_cannot_hold_explicit_padding():
    net = Net(1, 6, 6, 1)
    graph = net.graph(net.conv(0, _BOX, padding=((1, 0), (1, 0)), stride=2))
    with pytest.raises(InputError, match=r"cannot hold a padding of \(\(1, 0\), \(1, 0\)\); write the graph as it was"):
        write_tflite(graph)


@pytest.mark.parametrize("padding", [((1, 0),), ((-1, 0), (0, 0)), ("SAME", "VALID")])
def test_a_malformed_padding_is_refused(padding):
    net = Net(1, 6, 6, 1)
    graph = net.graph(net.conv(0, _BOX))
    op = replace(graph.ops[0], attrs={**graph.ops[0].attrs, "padding": padding})
    with pytest.raises(InputError, match="is not supported"):
        verify(graph.with_(ops=(op,)))


# activations

@pytest.mark.parametrize(("first", "second", "joint"), [("NONE", "RELU", "RELU"), ("NONE", "RELU6", "RELU6"),
                                                        ("RELU", "RELU6", "RELU6"), ("RELU6", "RELU", "RELU6")])
def test_an_activation_in_the_same_scale_becomes_the_clamp_of_the_layer(first, second, joint):
    net = Net(1, 3, 3, 1)
    graph = after(fuse_activation, net.graph(net.op(second, net.conv(0, [[1]], [5], activation=first))))
    assert kinds(graph) == ["CONV_2D"] and graph.ops[0].attrs["activation"] == joint


def test_a_maximum_with_zero_is_a_relu():
    net = Net(1, 3, 3, 1)
    graph = after(fuse_activation, net.graph(net.op("MAXIMUM", net.op("ADD", 0, 0, **_NONE),
                                                    net.const([0], "int8", Quant.of(1.0)))))
    assert kinds(graph) == ["ADD"] and graph.ops[0].attrs["activation"] == "RELU"


def test_activations_that_must_stay():
    scaled, shared, clamp = Net(1, 3, 3, 1), Net(1, 3, 3, 1), Net(1, 3, 3, 1)
    x = shared.conv(0, [[1]])
    cases = [scaled.graph(scaled.op("RELU", scaled.conv(0, [[1]]), scale=0.5)),     # rounds a second time
             shared.graph(shared.op("RELU", x), x),
             clamp.graph(clamp.op("MAXIMUM", clamp.conv(0, [[1]]), clamp.const([3], "int8", Quant.of(1.0))))]
    assert all(fuse_activation(graph) is graph for graph in cases)


# arithmetic with constants

def test_an_added_constant_goes_into_the_bias_where_nothing_saturates():
    net = Net(1, 4, 4, 1)
    x = net.conv(0, [[1]], activation="RELU6")                                      # 0..6
    y = net.op("ADD", x, net.const([9], "int8", Quant.of(1.0)), **_NONE)
    graph = after(constant_arithmetic, net.graph(net.conv(y, [[4]], [100])))
    assert kinds(graph) == ["CONV_2D", "CONV_2D"] and data(graph, 1, 2) == [100 + 4 * 9]


def test_another_zero_point_needs_no_bias_and_passes_padding():
    net = Net(1, 4, 4, 1)
    x = net.op("QUANTIZE", net.conv(0, [[1]], activation="RELU6"), zero=-128)
    graph = after(constant_arithmetic, net.graph(net.conv(x, _BOX, [7], padding="SAME")))
    assert kinds(graph) == ["CONV_2D", "CONV_2D"] and data(graph, 1, 2) == [7]


def test_constants_that_must_stay():
    saturating, padded, scaled = Net(1, 4, 4, 1), Net(1, 4, 4, 1), Net(1, 4, 4, 1)
    a = saturating.op("ADD", 0, saturating.const([9], "int8", Quant.of(1.0)), **_NONE)
    b = padded.op("ADD", padded.conv(0, [[1]], activation="RELU6"), padded.const([9], "int8", Quant.of(1.0)), **_NONE)
    c = scaled.op("MUL", 0, scaled.const([3], "int8", Quant.of(0.5)), scale=2.0, **_NONE)
    cases = [saturating.graph(saturating.conv(a, [[4]])), padded.graph(padded.conv(b, _BOX, padding="SAME")),
             scaled.graph(scaled.conv(c, [[4]]))]
    assert all(constant_arithmetic(graph) is graph for graph in cases)


def test_folding_a_factor_into_the_weights_scale_would_change_bytes():
    """Why MUL is left alone: round(round(a m) k) is not round(a m k)."""
    def layer(scale: float, factor: bool) -> Graph:
        net = Net(1, 16, 16, 1)
        y = net.layer("CONV_2D", 0, [[[[1]]]], weight_scale=scale)
        return net.graph(net.op("MUL", y, net.const([3], "int8", Quant.of(0.25)), **_NONE) if factor else y)

    graph = layer(0.5, True)
    assert outputs(graph, ramp(graph)) != outputs(layer(0.5 * 0.75, False), ramp(graph))


# borders

def _float_borders() -> Graph:
    quant, shape = Quant.of(0.5, 3), (1, 4)
    tensors = (Tensor("image", shape, "float32"), Tensor("a", shape, "int8", quant), Tensor("b", shape, "int8", quant),
               Tensor("scores", shape, "float32"))
    ops = (Op("QUANTIZE", (0,), (1,)), Op("RELU", (1,), (2,)), Op("DEQUANTIZE", (2,), (3,)))
    return verify(Graph(tensors, ops, (0,), (3,)))


def test_float_borders_stay_unless_asked_for():
    graph = _float_borders()
    assert optimize(graph).graph is graph
    inner = optimize(_float_borders(), borders="int8").graph
    assert kinds(inner) == ["RELU"]
    assert [(t.name, t.dtype) for t in inner.tensors] == [("image", "int8"), ("scores", "int8")]
    x = np.array([[-3, -0.4, 1, 9]], np.float32)
    q = np.array([[-3, 2, 5, 21]], np.int8)
    assert reference.run(_float_borders(), [x])[1].tolist() == q.tolist()
    assert reference.run(_float_borders(), [x])[2].tolist() == reference.run(inner, [q])[1].tolist()


def test_other_borders_are_refused():
    with pytest.raises(InputError, match="unknown borders 'float'; use keep or int8"):
        optimize(_float_borders(), borders="float")


def test_passes_leave_their_argument_alone():
    net = Net(1, 6, 6, 1)
    x = net.pad(net.reshape(net.reshape(0, 36), 1, 6, 6, 1), (1, 1), (1, 1))
    graph = net.graph(net.op("RELU", net.conv(x, _BOX)))
    before = (graph.tensors, graph.ops)
    for one_pass in PASSES.values():
        one_pass(graph)
    assert (graph.tensors, graph.ops) == before
    assert kinds(optimize(graph).graph) == ["CONV_2D"]
