# SPDX-License-Identifier: Apache-2.0
"""Ops on int16 activations (16x8): reference, TFLite Micro, and the kernels, byte for byte."""
from __future__ import annotations

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcunas.board import Board
from mcunas.compiler import Choice, compile_graph
from mcunas.compiler.lower import candidates
from mcunas.compiler.tables import code_table, instruction_table
from mcunas.cost.estimate import constant_bytes
from mcunas.cost.fit import together
from mcunas.cost.measure_code import chain
from mcunas.device.build import build
from mcunas.device.host import build_host
from mcunas.device.run import run
from mcunas.errors import InputError
from mcunas.graph import Graph, Op, Quant, Tensor, read_tflite, reference, verify, write_tflite
from mcunas.graph.int16_functions import OUTPUT_SCALE
from mcunas.graph.to_int16 import can_be_int16, widened
from mcunas.paths import firmware_dir
from tests.kernels.agreement import c_differences
from tests.kernels.bundle import Case, bundle, draw
from tests.kernels.int16_strategies import KINDS_OF_INT16, long_sums
from tests.kernels.rows_program import RowsProgram
from tests.kernels.strategies_graph import small_graph
from tests.oracle import differences

_EVERY = np.arange(-32768, 32768).astype(np.int16)
_KINDS = pytest.mark.parametrize("kind", sorted(KINDS_OF_INT16))
_DENSE = ("CONV_2D", "FULLY_CONNECTED")


def _all(count: int, number: int) -> Case:
    return bundle([case for kind in sorted(KINDS_OF_INT16) for case in draw(KINDS_OF_INT16[kind], count, number)])


@_KINDS
@settings(max_examples=60)
@given(st.data())
def test_reference_equals_tflite_micro(kind, data):
    graph, inputs = data.draw(KINDS_OF_INT16[kind])
    assert differences(read_tflite(write_tflite(graph)), inputs) == []


@pytest.mark.parametrize("isa", ["scalar", "dsp"])
def test_c_equals_reference(isa, tmp_path):
    """With sanitizers; the DSP kernels on intrinsics in C."""
    cases = [c for kind in (_DENSE if isa == "dsp" else sorted(KINDS_OF_INT16)) for c in draw(KINDS_OF_INT16[kind], 12, 0)]
    case = bundle([*cases, *long_sums()])
    choice = Choice({i: isa for i, op in enumerate(case[0].ops) if isa in candidates(case[0], op, "mve")})
    compiled = compile_graph(case[0], Board.load("mps3-an547"), rewrite=False, choice=choice)
    ending = "_s16" if isa == "scalar" else "_s16_dsp"
    assert {f"mn_{name}{ending}" for name in ("conv", "fully_connected")} <= set(compiled.kernels)
    (found, _), expected = build_host(compiled, tmp_path).run(case[1]), reference.run(*case)
    assert [case[0].where(k) for k, t in enumerate(case[0].outputs) if found[k].tobytes() != expected[t].tobytes()] == []


@pytest.mark.parametrize("isa", ["scalar", "dsp"])
def test_pieces_give_the_whole_layer(isa, tmp_path):
    """Any cut of rows, both directions, ring buffers, over the input."""
    program = RowsProgram(seed=16)
    for kind in sorted(KINDS_OF_INT16) if isa == "scalar" else _DENSE:
        for case in draw(KINDS_OF_INT16[kind], 8, 7):
            program.add(case, isa)
    assert len(program.kernels) >= (8 if isa == "scalar" else 2) and program.run(tmp_path) == []


@pytest.mark.skipif(shutil.which("qemu-system-arm") is None or shutil.which("arm-none-eabi-gcc") is None,
                    reason="needs qemu-system-arm and arm-none-eabi-gcc")
@pytest.mark.parametrize("key", ["mps2-an385-m0plus", "mps2-an386"])
def test_firmware_equals_the_reference(key, tmp_path):
    """All kinds of ops in one firmware, on the emulated core."""
    graph, inputs = _all(3, 40)
    board, expected = Board.load(key), reference.run(graph, inputs)
    found = run(build(compile_graph(graph, board, rewrite=False), board, tmp_path), inputs)
    assert [graph.where(k) for k, t in enumerate(graph.outputs) if found[k].tobytes() != expected[t].tobytes()] == []


def test_sums_beyond_32_bits_are_those_of_tflite_micro():
    for graph, inputs in long_sums():
        assert differences(graph, inputs) == []
        values = reference.run(graph, inputs)[3].astype(np.int64)
        assert (np.diff(values.reshape(-1)) != 0).any() and abs(values).max() < 32767        # none is limited


def _function(kind: str, scale: float, shape: tuple[int, ...] = (4,), out_scale: float = OUTPUT_SCALE) -> Graph:
    """Of one tensor; MUL: its square."""
    attrs = {"SOFTMAX": {"beta": 1.0}, "MUL": {"activation": "NONE"}}.get(kind, {})
    tensors = (Tensor("x", shape, "int16", Quant.of(scale)), Tensor("y", shape, "int16", Quant.of(out_scale)))
    return Graph(tensors, (Op(kind, (0, 0) if kind == "MUL" else (0,), (1,), attrs),), (0,), (1,))


@pytest.mark.parametrize(("kind", "scale"), [("LOGISTIC", 2.0 ** -12), ("LOGISTIC", 10.7 / 32768), ("TANH", 2.0 ** -11),
                                             ("TANH", 2e-4), ("SOFTMAX", 10 / 65535)])
def test_every_value_through_a_table_is_that_of_tflite_micro(kind, scale, tmp_path):
    shape = (256, 256) if kind != "SOFTMAX" else (256, 256, 2)
    x = np.stack([np.full_like(_EVERY, 32767), _EVERY], -1) if kind == "SOFTMAX" else _EVERY
    graph, inputs = verify(_function(kind, scale, shape)), [x.reshape(shape)]
    assert differences(graph, inputs) == []
    assert c_differences((graph, inputs), tmp_path) == []


def test_logistic_and_tanh_share_a_table():
    board = Board.load("mps2-an386")
    graphs = [verify(_function(kind, 0.001)) for kind in ("LOGISTIC", "TANH", "LOGISTIC")]
    compiled = compile_graph(together(graphs), board)
    assert compiled.model_c.count("static const uint16_t table") == 1
    assert 512 <= constant_bytes(compiled.plan.schedule) < 1024


@pytest.mark.parametrize(("x", "classes"), [(32767, 65535), (-32768, 32768), (0, 2)])
def test_softmax_of_equal_values(x, classes, tmp_path):
    """As many as the sum takes; a sum that needs no shift."""
    graph, inputs = verify(_function("SOFTMAX", 0.001, (1, classes))), [np.full((1, classes), x, np.int16)]
    assert differences(graph, inputs) == [] and c_differences((graph, inputs), tmp_path) == []


def _networks(count: int, number: int) -> list[Case]:
    """Networks of which every second class of tensors that can be is int16."""
    found = []
    for graph, inputs in draw(small_graph(), count, number):
        some = list(can_be_int16(graph))[len(found) % 2::2]
        scales = {root: graph.tensors[root].quant.per_tensor[0] / 100 for root in some}
        found.append((widened(graph, scales), inputs))
    assert sum(op.kind == "QUANTIZE" for graph, _ in found for op in graph.ops) > count / 2
    return found


def test_widened_networks_equal_tflite_micro():
    assert [differences(graph, inputs) for graph, inputs in _networks(24, 5)] == [[]] * 24


def test_widened_networks_equal_the_reference_after_all_passes(tmp_path):
    """Over their inputs, among int8 layers that other kernels compute."""
    graph, inputs = bundle(_networks(20, 31))
    expected, compiled = reference.run(graph, inputs), compile_graph(graph, Board.load("mps2-an386"))
    found, _ = build_host(compiled, tmp_path).run(inputs)
    wrong = [k for k, t in enumerate(graph.outputs) if found[k].tobytes() != expected[t].tobytes()]
    assert wrong == [] and any("_s16" in kernel for kernel in compiled.kernels)


def test_int16_layers_are_streamed_row_by_row(tmp_path):
    graph = chain(("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "CONV_2D", "FULLY_CONNECTED"), 24, (4, 12))
    graph = widened(graph, {t: 0.05 / 128 for t in can_be_int16(graph)})
    inputs = [np.random.default_rng(0).integers(-128, 128, graph.tensors[0].shape).astype(np.int8)]
    compiled = compile_graph(graph, Board.load("mps2-an386"), "ram")
    streamed = {graph.ops[i].kind for step in compiled.plan.schedule.steps if step.stream for i in step.ops}
    assert {"CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D"} <= streamed
    found, _ = build_host(compiled, tmp_path).run(inputs)
    assert found[0].tobytes() == reference.run(graph, inputs)[graph.outputs[0]].tobytes()


@pytest.mark.parametrize("key", Board.cores())
def test_every_core_prices_them(key):
    board = Board.load(key)
    names = {source.stem for source in (firmware_dir() / "kernels").glob("mn_*_s16*.c")}
    mine = {name for name in names if board.isa in ("dsp", "mve") or not name.endswith("_dsp")}
    assert len(mine) >= 12 and mine <= set(code_table(board).code_bytes)
    assert {name for name in mine if "f32" not in name} <= set(instruction_table(board).cycles_per_unit)


def _layer(**changes):
    """A fully connected layer on int16, with some of its tensors replaced."""
    one = Quant.of(0.01)
    tensors = {"x": Tensor("x", (1, 4), "int16", one), "w": Tensor("w", (2, 4), "int8", one, np.ones((2, 4), np.int8)),
               "b": Tensor("b", (2,), "int64", Quant.of(0.0001), np.zeros(2, np.int64)),
               "y": Tensor("y", (1, 2), "int16", one)}
    op = Op("FULLY_CONNECTED", (0, 1, 2), (3,), {"activation": "NONE", "keep_dims": False})
    return Graph(tuple((tensors | changes).values()), (op,), (0,), (3,))


_INT4 = Tensor("w", (2, 4), "int4", Quant.of(0.01), np.ones((2, 4), np.int8))


@pytest.mark.parametrize(("graph", "reason"), [
    (_layer(y=Tensor("y", (1, 2), "int8", Quant.of(0.01))), "put a QUANTIZE between"),
    (_layer(x=Tensor("x", (1, 4), "int16", Quant.of(0.01, 3))), "zero point of 0"),
    (_layer(w=_INT4), "weights are int4, not int8"),
    (_layer(b=Tensor("b", (2,), "int32", Quant.of(0.0001), np.zeros(2, np.int32))), "not int64"),
    (_layer(b=Tensor("b", (2,), "int64", Quant.of(0.0001), np.full(2, 1 << 47))), "48 bits"),
    (_layer(y=Tensor("y", (1, 2), "int16", Quant.of(1e-7))), "2\\^7"),
    (_function("LOGISTIC", 3.0), "too large"), (_function("TANH", 1e-14), "too small"),
    (_function("TANH", 2.0 ** (0.001 - 11)), "on the edge"), (_function("SOFTMAX", 6.0), "too large"),
    (_function("LOGISTIC", 0.01, out_scale=1 / 256), "must have scale"), (_function("MUL", 1.0), "too small"),
])
def test_what_the_kernels_cannot_do_is_refused(graph, reason):
    assert verify(_layer())
    with pytest.raises(InputError, match=reason):
        verify(graph)
