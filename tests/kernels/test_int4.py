# SPDX-License-Identifier: Apache-2.0
"""Layers with int4 weights: reference, TFLite Micro, and the kernels of every core, byte for byte."""
from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from mcunas.board import Board
from mcunas.compiler import Choice, compile_graph
from mcunas.compiler.lower import candidates
from mcunas.cost.fit import together
from mcunas.cost.fit_layers import one_op
from mcunas.device.build import build
from mcunas.device.host import build_host
from mcunas.device.profile import profile
from mcunas.device.run import run
from mcunas.graph import oracle, read_tflite, reference, write_tflite
from mcunas.graph.nibbles import packed, unpacked, with_int4
from tests.kernels import mve_strategies, strategies, test_dsp
from tests.kernels.bundle import Case, bundle, draw
from tests.kernels.int4_strategies import as_int4
from tests.kernels.rows_program import RowsProgram
from tests.kernels.strategies_graph import small_graph

_KINDS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_ANY = {kind: as_int4(strategies.CASES[kind]) for kind in _KINDS}
_CASES = {
    "m0": {"CONV_2D": as_int4(test_dsp.CASES["CONV_2D_DSP"])},
    "scalar": _ANY,
    "dsp": {kind: as_int4(test_dsp.CASES[kind]) for kind in ("CONV_2D_DSP", "DEPTHWISE_DSP", "FULLY_CONNECTED_DSP")},
    "mve": {kind: as_int4(mve_strategies.CASES[kind]) for kind in ("CONV_2D", "pointwise", "FULLY_CONNECTED")},
}
_BOARDS = {"scalar": "mps2-an385", "m0": "mps2-an385-m0plus", "dsp": "mps2-an386", "mve": "mps3-an547"}


def _all(isa: str, count: int, number: int = 0) -> list[Case]:
    return [case for kind in sorted(_CASES[isa]) for case in draw(_CASES[isa][kind], count, number)]


def _compiled(graph, isa: str):
    board = Board.load("mps3-an547") if isa == "scalar" else Board.load(_BOARDS[isa])
    choice = Choice({i: "scalar" for i in range(len(graph.ops))}) if isa == "scalar" else None
    return compile_graph(graph, board, rewrite=False, choice=choice)


def _differences(case: Case, isa: str, folder: Path) -> tuple[list[str], int]:
    """(outputs that differ from the reference, how many calls were of that core's int4 kernels) of the host build."""
    graph, inputs = case
    compiled = _compiled(graph, isa)
    ending = "_s4" if isa == "scalar" else f"_s4_{isa}"
    own = sum(call.kernel.endswith(ending) for calls in compiled.plan.program.calls for call in calls)
    expected, (found, _) = reference.run(graph, inputs), build_host(compiled, folder).run(inputs)
    return [graph.where(k) for k, t in enumerate(graph.outputs) if found[k].tobytes() != expected[t].tobytes()], own


@pytest.mark.parametrize("kind", _KINDS)
def test_reference_equals_tflite_micro(kind):
    for graph, inputs in draw(_ANY[kind], 40):
        graph = read_tflite(write_tflite(graph))
        expected, found = oracle.run(graph, inputs), reference.run(graph, inputs)
        assert all(found[t].tobytes() == value.tobytes() for t, value in expected.items())


def test_a_file_keeps_values_two_a_byte():
    values = np.array([[-8, 7, -1], [0, 3, -7]], np.int8)
    assert packed(values) == bytes([0x78, 0x0F, 0x93]) and (unpacked(packed(values), 6) == values.reshape(-1)).all()
    graph = draw(_ANY["CONV_2D"], 1)[0][0]
    weights = graph.tensors[graph.ops[0].inputs[1]]
    back = read_tflite(write_tflite(graph)).tensors[graph.ops[0].inputs[1]]
    assert back.dtype == "int4" and (back.data == weights.data).all() and back.size_bytes == (weights.elements + 1) // 2


@pytest.mark.parametrize("isa", sorted(_CASES))
def test_host_model_equals_reference(isa, tmp_path):
    case = bundle(_all(isa, 40))
    different, own_calls = _differences(case, isa, tmp_path)
    assert different == [] and own_calls > len(case[0].ops) / 2


@pytest.mark.parametrize("isa", sorted(_CASES))
def test_pieces_give_the_whole_layer(isa, tmp_path):
    """Any cut of rows, both directions, ring buffers, over the input."""
    program = RowsProgram(seed=6)
    for case in _all(isa, 20, 9):
        program.add(case, isa)
    assert any("_s4" in name for name in program.kernels) and program.run(tmp_path) == []


def test_networks_equal_the_reference_after_all_passes(tmp_path):
    """Layers in streams, over their inputs, without their dead channels: int4 in every second layer with weights."""
    cases = []
    for graph, inputs in draw(small_graph(), 24, 31):
        places = [i for i, op in enumerate(graph.ops) if op.kind in _KINDS and graph.tensors[op.inputs[1]].is_const]
        cases.append((with_int4(graph, places[::2]), inputs))
    graph, inputs = bundle(cases)
    expected, compiled = reference.run(graph, inputs), compile_graph(graph, Board.load(_BOARDS["dsp"]))
    found, _ = build_host(compiled, tmp_path).run(inputs)
    assert any("_s4" in kernel for kernel in compiled.kernels)
    assert all(found[k].tobytes() == expected[t].tobytes() for k, t in enumerate(graph.outputs))


_on_target = pytest.mark.skipif(shutil.which("qemu-system-arm") is None or shutil.which("arm-none-eabi-gcc") is None,
                                reason="needs qemu-system-arm and arm-none-eabi-gcc")


@_on_target
@pytest.mark.parametrize("isa", sorted(_BOARDS))
def test_assembly_equals_the_reference(isa, tmp_path):
    """All kinds of layers in one firmware, on the emulated core."""
    graph, inputs = bundle(_all(isa, 8, 40))
    board, expected = Board.load(_BOARDS[isa]), reference.run(graph, inputs)
    found = run(build(compile_graph(graph, board, rewrite=False), board, tmp_path), inputs)
    assert [graph.where(k) for k, t in enumerate(graph.outputs) if found[k].tobytes() != expected[t].tobytes()] == []


@_on_target
def test_int8_and_int4_meet_in_a_program_that_is_compiled_as_a_whole(tmp_path):
    kinds = sorted(_CASES["dsp"])
    graph, inputs = bundle([c for kind in kinds for cases in (test_dsp.CASES[kind], _CASES["dsp"][kind])
                            for c in draw(cases, 4, 42)])
    board = Board.load(_BOARDS["dsp"])
    compiled = compile_graph(graph, board, "flash", rewrite=False, choice=Choice({i: "dsp" for i, op in enumerate(graph.ops)
                                                                                 if "dsp" in candidates(graph, op, "dsp")}))
    assert {f"mn_{name}_s{bits}_dsp" for name in ("conv", "depthwise", "fully_connected") for bits in (4, 8)} <= set(
        compiled.kernels)
    expected, found = reference.run(graph, inputs), run(build(compiled, board, tmp_path), inputs)
    assert all(found[k].tobytes() == expected[t].tobytes() for k, t in enumerate(graph.outputs))


@_on_target
def test_int4_takes_at_most_a_quarter_more_instructions_than_int8_on_cortex_m4(tmp_path):
    window = {"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "padding": "SAME", "activation": "RELU"}
    dense, board = {"activation": "NONE", "keep_dims": False}, Board.load(_BOARDS["dsp"])
    layers = [one_op("CONV_2D", [(1, 10, 10, c), (o, k, k, c)], window) for c, o, k in ((8, 8, 3), (24, 13, 3), (16, 16, 1))]
    layers.append(one_op("DEPTHWISE_CONV_2D", [(1, 10, 10, 32), (1, 3, 3, 32)],
                         {**window, "stride_h": 2, "stride_w": 2, "depth_multiplier": 1}))
    layers += [one_op("FULLY_CONNECTED", [(1, d), (o, d)], dense) for d, o in ((64, 10), (256, 12))]
    counts = []
    for part in (layers, [with_int4(layer, [0]) for layer in layers]):
        image = build(compile_graph(together(part), board, rewrite=False), board, tmp_path)
        counts.append(np.array([layer.instructions for layer in profile(image).layers]))
    assert (counts[1] <= 1.25 * counts[0]).all(), (counts[1] / counts[0]).round(3).tolist()
