# SPDX-License-Identifier: Apache-2.0
"""Every pass keeps every output byte: random pruned networks and the four MLPerf Tiny models."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from mcunas.board import Board
from mcunas.compiler import compile_graph
from mcunas.compiler.passes import PASSES, macs, optimize, weight_count
from mcunas.device.host import build_host
from mcunas.graph import read_tflite, reference
from tests.compiler.passes_strategies import (
    differences,
    network,
    oracle_outputs,
    outputs,
    padded_layer,
    pruned,
    pruned_graphs,
)
from tests.kernels.bundle import bundle, draw

_MODELS = {            # macs and weights before, after
    "kws_ref_model": (2_656_768, 22_016, 2_656_768, 22_016),
    "pretrainedResnet_quant": (12_501_632, 77_360, 12_501_632, 77_360),
    "vww_96_int8": (7_489_664, 208_112, 3_727_313, 29_066),
    "ad01_int8": (264_192, 264_192, 264_192, 264_192),
}


@settings(max_examples=120)
@given(pruned_graphs)
def test_every_pass_keeps_interface_and_bytes_and_finds_nothing_the_second_time(case):
    graph, inputs = case
    for name, one_pass in PASSES.items():
        after = one_pass(graph)
        if after is not graph:
            assert differences(graph, after, inputs) == [], name
            assert one_pass(after) is after, name


@settings(max_examples=100)
@given(pruned_graphs)
def test_all_passes_together_keep_interface_and_bytes_and_reach_a_fixed_point(case):
    graph, inputs = case
    after, notes = optimize(graph)
    extremes = [np.where(x < 0, -128, 127).astype(np.int8) for x in inputs]
    assert differences(graph, after, inputs) + differences(graph, after, extremes) == []
    assert all(one_pass(after) is after for one_pass in PASSES.values())
    assert (notes == ()) == (after is graph)


def test_c_of_optimized_networks_gives_the_same_bytes(tmp_path):
    graph, inputs = bundle(draw(pruned(network()), 8, 5) + draw(padded_layer(), 90))
    smaller = optimize(graph).graph
    assert macs(smaller) < macs(graph)
    assert {op.kind for op in smaller.ops if isinstance(op.attrs.get("padding"), tuple)} == {
        "CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D"}
    image = build_host(compile_graph(smaller, Board.load("mps3-an547")), tmp_path)
    for found, _ in image.run_batch([inputs, inputs]):
        assert [a.tobytes() for a in found] == outputs(graph, inputs)


@pytest.mark.parametrize("name", _MODELS)
def test_mlperf_model_keeps_its_bytes_and_loses_its_dead_channels(name, data_dir: Path):
    graph = read_tflite(data_dir / "mlperf_tiny" / f"{name}.tflite")
    after = optimize(graph).graph
    assert (macs(graph), weight_count(graph), macs(after), weight_count(after)) == _MODELS[name]
    rng = np.random.default_rng(3)
    shape = graph.tensors[graph.inputs[0]].shape
    for x in (rng.integers(-128, 128, shape).astype(np.int8), rng.choice([-128, 127], shape).astype(np.int8)):
        expected = oracle_outputs(graph, [x])
        assert oracle_outputs(after, [x]) == expected == outputs(after, [x]) == outputs(graph, [x])


def test_layers_of_vww_that_survive_agree_channel_by_channel(data_dir: Path):
    """Not only the classes: every kept channel of every layer holds what it held before."""
    graph = read_tflite(data_dir / "mlperf_tiny" / "vww_96_int8.tflite")
    after = optimize(graph).graph
    x = [np.random.default_rng(4).integers(-128, 128, graph.tensors[0].shape).astype(np.int8)]
    old, new = reference.run(graph, x), reference.run(after, x)
    for a, b in zip(graph.ops, after.ops, strict=True):
        was = {old[a.outputs[0]][..., c].tobytes() for c in range(old[a.outputs[0]].shape[-1])}
        now = [new[b.outputs[0]][..., c].tobytes() for c in range(new[b.outputs[0]].shape[-1])]
        assert set(now) <= was


def test_notes_say_what_went(data_dir: Path):
    notes = [n.text for n in optimize(read_tflite(data_dir / "mlperf_tiny" / "vww_96_int8.tflite")).notes]
    assert "op 10 CONV_2D: 64 -> 60 channels" in notes
    assert "weights 208,112 -> 29,066 (86.0 % less)" in notes
