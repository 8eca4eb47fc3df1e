# SPDX-License-Identifier: Apache-2.0
"""Dead channels: which go, which stay, and the exact biases that stand for them."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mcunas.board import Board
from mcunas.compiler.passes import optimize
from mcunas.compiler.passes.dead_channels import dead_channels
from mcunas.compiler.rewriting import rewritten
from mcunas.graph import Graph, Quant, verify
from tests.compiler.passes_by_hand import Net, data, kinds
from tests.compiler.passes_strategies import differences

_BOX = np.ones((1, 3, 3, 2), int)


def cut(graph: Graph) -> Graph:
    """The graph after the pass, which must stand for the one before."""
    after = dead_channels(graph)
    rng = np.random.default_rng(0)
    for inputs in ([rng.integers(-128, 128, graph.tensors[0].shape).astype(np.int8)] for _ in range(3)):
        assert differences(graph, after, inputs) == []
    assert dead_channels(after) is after
    return after


def _zero_filter(bias: int, zero: int = 0, activation: str = "NONE") -> tuple[Net, int]:
    """A pointwise layer 1 -> 2 whose second output is the constant bias + zero."""
    net = Net(1, 5, 5, 1)
    return net, net.conv(0, [[1], [0]], [0, bias], zero=zero, activation=activation)


def test_a_constant_goes_into_the_bias_of_a_pointwise_layer():
    net, x = _zero_filter(bias=37, zero=-20)
    after = cut(net.graph(net.conv(x, [[2, 5], [3, -1]], [100, 200])))
    assert data(after, 0, 1) == [[[[1]]]]
    assert data(after, 1, 1) == [[[[2]]], [[[3]]]]
    assert data(after, 1, 2) == [100 + 37 * 5, 200 - 37]


def test_a_layer_without_bias_gets_one():
    net, x = _zero_filter(bias=3)
    after = cut(net.graph(net.conv(x, [[2, 5]])))
    assert data(after, 1, 2) == [15]


def test_a_constant_behind_a_clamp_is_the_clamped_value():
    net, x = _zero_filter(bias=1000)
    assert data(cut(net.graph(net.conv(x, [[1, 2]], [0]))), 1, 2) == [127 * 2]


@pytest.mark.parametrize(("bias", "activation", "stays"), [
    (0, "NONE", 1), (-9, "RELU", 1), (1, "NONE", 2), (-1, "NONE", 2)])
def test_before_padding_only_the_zero_point_goes(bias, activation, stays):
    net, x = _zero_filter(bias, zero=-100, activation=activation)
    after = cut(net.graph(net.conv(x, _BOX, [0], padding="SAME")))
    assert after.tensors[after.ops[0].outputs[0]].shape[3] == stays


def test_without_padding_a_kxk_layer_takes_any_constant():
    net, x = _zero_filter(bias=4)
    after = cut(net.graph(net.conv(x, _BOX, [0])))
    assert data(after, 1, 2) == [9 * 4]


def test_weights_that_never_meet_padding_take_any_constant():
    net, x = _zero_filter(bias=4)
    weights = _BOX.copy()
    weights[..., 1] = np.diag([0, 7, 0])
    assert data(cut(net.graph(net.conv(x, weights, [0], padding="SAME"))), 1, 2) == [28]


def test_a_zero_point_passes_a_padded_depthwise_layer_and_its_bias_goes_on():
    net, x = _zero_filter(bias=0, zero=-128)
    y = net.depthwise(x, np.ones((3, 3, 2)), [0, 6], zero=-128, padding="SAME")
    after = cut(net.graph(net.conv(y, [[1, 2]], [0])))
    assert [after.tensors[op.outputs[0]].shape[3] for op in after.ops] == [1, 1, 1]
    assert data(after, 2, 2) == [12]


def test_a_constant_that_padding_turns_into_a_pattern_stays():
    net, x = _zero_filter(bias=1)
    y = net.depthwise(x, np.ones((3, 3, 2)), [0, 0], padding="SAME")
    after = dead_channels(net.graph(net.conv(y, [[1, 2]], [0])))
    assert [after.tensors[op.outputs[0]].shape[3] for op in after.ops] == [2, 2, 1]


def test_a_zero_depthwise_filter_takes_the_layer_before_it_along():
    net = Net(1, 5, 5, 1)
    filters = np.dstack([np.ones((3, 3)), np.zeros((3, 3))])
    y = net.depthwise(net.conv(0, [[1], [9]], [0, 0]), filters, [0, 2], padding="SAME")
    after = cut(net.graph(net.conv(y, [[1, 4]], [0])))
    assert data(after, 0, 1) == [[[[1]]]] and data(after, 2, 2) == [8]


def test_a_constant_that_stays_needs_nothing_before_it():
    """The layer that holds it loses its weights, because its input is no longer what saturated it."""
    net = Net(1, 5, 5, 1)
    nine = net.const([9], "int8", Quant.of(1.0))
    x = net.op("ADD", net.conv(0, [[1], [1]], activation="RELU6"), nine, activation="NONE")
    y = net.conv(x, [[1, 0], [0, 1]], [-9, -5])                       # 0..6 and 4..10
    y = net.depthwise(y, [[[1, 1]]], [0, 2], activation="RELU6")      # 6, always
    after = cut(net.graph(net.conv(y, _BOX, padding="SAME")))
    assert [after.tensors[op.outputs[0]].shape[3] for op in after.ops] == [1, 1, 2, 2, 1]
    assert data(after, 3, 1) == [[[[1, 0]]]] and data(after, 3, 2) == [0, 6]


def test_a_filter_that_always_saturates_is_constant():
    net = Net(1, 2, 2, 1)
    x = net.conv(0, [[1], [3]], [0, 600])             # 600 - 3 * 128 = 216 > 127
    after = cut(net.graph(net.conv(x, [[1, 2]], [0])))
    assert data(after, 0, 1) == [[[[1]]]] and data(after, 1, 2) == [254]


def test_channels_that_nobody_reads_go():
    net = Net(1, 5, 5, 2)
    x = net.conv(0, [[1, 2], [3, 4], [5, 6]], [1, 2, 3])
    after = cut(net.graph(net.conv(x, [[1, 0, 1]], [0])))
    assert data(after, 0, 1) == [[[[1, 2]]], [[[5, 6]]]] and data(after, 0, 2) == [1, 3]


def test_a_residual_stream_loses_a_channel_that_only_feeds_itself():
    net = Net(1, 3, 3, 1)
    stream = net.conv(0, [[1], [2]], [0, 0])
    for _ in "ab":
        inner = net.conv(stream, [[1, 0], [0, 1]], [0, 0])            # channel 1 is read, but only for channel 1
        stream = net.op("ADD", stream, inner, scale=2.0, activation="NONE")
    after = cut(net.graph(net.conv(stream, [[1, 0]], [0])))
    assert {after.tensors[op.outputs[0]].shape[3] for op in after.ops} == {1}


def test_a_residual_stream_keeps_a_channel_that_only_one_side_holds_constant():
    net = Net(1, 3, 3, 1)
    stream = net.conv(0, [[1], [2]], [0, 0])
    inner = net.conv(stream, [[1, 1], [0, 0]], [0, 7])
    y = net.op("ADD", stream, inner, scale=2.0, activation="NONE")
    assert dead_channels(graph := net.graph(net.conv(y, [[1, 1]], [0]))) is graph


def test_flattening_carries_channels_to_columns():
    net, x = _zero_filter(bias=5)
    flat = net.reshape(x, 1, 50)
    after = cut(net.graph(net.dense(flat, np.tile([[1, 2]], 25), [0])))
    assert after.tensors[after.ops[1].outputs[0]].shape == (1, 25)
    assert data(after, 2, 1) == [[1] * 25] and data(after, 2, 2) == [25 * 2 * 5]


def test_pools_and_means_pass_constants_on():
    net, x = _zero_filter(bias=-5)
    window = {"filter_h": 2, "filter_w": 2, "stride_h": 2, "stride_w": 2, "padding": "VALID", "activation": "NONE"}
    y = net.op("MEAN", net.op("AVERAGE_POOL_2D", x, **window), net.const([1, 2]), keep_dims=False)
    assert data(cut(net.graph(net.dense(y, [[1, 3]], [0]))), 3, 2) == [-15]


def test_a_concatenation_loses_a_part_that_nobody_needs():
    net = Net(1, 3, 3, 1)
    parts = [net.conv(0, [[k + 1], [0]], [0, k]) for k in range(3)]
    joined = net.op("CONCATENATION", *parts, axis=3, activation="NONE")
    after = cut(net.graph(net.conv(joined, [[1, 1, 0, 1, 0, 1]], [0])))
    assert kinds(after) == ["CONV_2D", "CONCATENATION", "CONV_2D"] and data(after, 2, 2) == [0 + 1 + 2]
    assert kinds(optimize(after).graph) == ["CONV_2D", "CONV_2D"]


def test_graph_inputs_and_outputs_keep_their_channels():
    net = Net(1, 3, 3, 2)
    graph = net.graph(net.conv(0, [[0, 1], [0, 0]], [3, 4]))
    assert dead_channels(graph) is graph


def test_one_channel_of_a_layer_without_use_remains():
    net = Net(1, 3, 3, 1)
    graph = net.graph(net.conv(net.conv(0, [[1], [2]], [0, 0]), [[0, 0]], [7]))
    assert cut(graph).tensors[cut(graph).ops[0].outputs[0]].shape[3] == 1


def test_a_bias_that_could_leave_int32_absorbs_nothing():
    net, x = _zero_filter(bias=100)
    big = np.iinfo(np.int32).max - 50
    graph = net.graph(net.conv(x, [[1, 1], [1, 1]], [big, 0]))
    assert dead_channels(graph) is graph


def test_a_branch_that_never_varies_becomes_a_constant_operand():
    net = Net(1, 3, 3, 2)
    branch = net.conv(net.conv(0, [[1, 2], [3, 4]], [0, 0]), [[0, 0], [0, 0]], [5, -6])
    graph = net.graph(net.op("ADD", 0, branch, scale=2.0, activation="NONE"))
    after = optimize(graph).graph
    assert kinds(after) == ["ADD"]
    assert after.tensors[after.ops[0].inputs[1]].data.tolist() == [[[[5, -6]]]]
    assert differences(graph, after, [np.arange(18, dtype=np.int8).reshape(1, 3, 3, 2)]) == []


def _sixteen_with_a_dead_one(scale: float = 1.0) -> Graph:
    """Pointwise 1 -> 16 -> 1; nobody reads channel 3, whose weights have a scale of their own."""
    net = Net(1, 5, 5, 1)
    x = net.conv(0, [[k + 1] for k in range(16)], list(range(16)))
    graph = net.graph(net.conv(x, [[int(k != 3) for k in range(16)]], [0]))
    quant = Quant(np.array([scale if k == 3 else 1.0 for k in range(16)], np.float32), np.zeros(16, np.int64), 0)
    of_first = graph.ops[0].inputs[1:]
    return verify(graph.with_(tensors=tuple(replace(t, quant=quant) if i in of_first else t
                                            for i, t in enumerate(graph.tensors))))


@pytest.mark.parametrize("grain, stay", [(1, 15), (2, 16), (4, 16), (5, 15), (8, 16)])
def test_with_a_grain_a_multiple_of_it_stays(grain, stay):
    graph = _sixteen_with_a_dead_one()
    after = dead_channels(graph, grain)
    assert after.tensors[after.ops[0].outputs[0]].shape[3] == stay
    assert differences(graph, after, [np.arange(25, dtype=np.int8).reshape(1, 5, 5, 1)]) == []
    assert dead_channels(after, grain) is after


def test_a_dead_channel_that_stays_is_plain():
    after = dead_channels(_sixteen_with_a_dead_one(scale=150.0), 4)
    weights, bias = (after.tensors[t] for t in after.ops[0].inputs[1:])
    assert weights.quant.scale[3] == bias.quant.scale[3] == 1.0
    assert not weights.data[3].any() and not bias.data[3].any()


def test_what_a_core_takes_four_at_a_time_stays_even_where_cycles_count():
    graph, board = _sixteen_with_a_dead_one(), Board.load("mps2-an386")
    counts = {goal: (found := rewritten(graph, board, goal).graph).tensors[found.ops[0].outputs[0]].shape[3]
              for goal in ("cycles", "balanced", "flash", "ram")}
    assert counts == {"cycles": 16, "balanced": 16, "flash": 15, "ram": 15}
