# SPDX-License-Identifier: Apache-2.0
"""The DSP kernels: the C that stands for their assembly on the host, byte-equal to the numpy reference.

Shapes are those that the DSP lowering takes: batch 1, no groups. Awkward ones: one channel, one pixel, odd everything,
runs shorter than a word, windows that hang over every border. QEMU runs the assembly itself.
"""
from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from mcunas.board import Board
from mcunas.compiler import Choice, Compiled, compile_graph
from mcunas.compiler.lower import ISAS, candidates
from mcunas.compiler.lower.dsp_lines import LINE_POINT, LINE_SHIFT, lines
from mcunas.compiler.lower.packing import byte_pairs, in_quads
from mcunas.device.build import build
from mcunas.device.host import build_host
from mcunas.device.validate import validate
from mcunas.graph import Graph, Op, Quant, Tensor, reference, write_tflite
from mcunas.graph.arithmetic import quantize_multiplier, scale_int32
from mcunas.graph.integer_params import Requant
from tests.kernels.bundle import Case, bundle, draw
from tests.kernels.rows_program import RowsProgram
from tests.kernels.strategies import _ACTIVATIONS, _ZERO_POINTS, _conv_attrs, _filled, _layer, _legal

_BOARD = "mps2-an386"


def _out(size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    return -(-size // stride) if padding == "SAME" else (size - (kernel - 1) * dilation - 1) // stride + 1


@st.composite
def conv_2d(draw_) -> Case:
    padding, kernels, strides, sizes = draw_(st.sampled_from(["SAME", "VALID"])), [], [], []
    dilations = [draw_(st.sampled_from([1, 1, 2])), 1]
    for axis in range(2):
        kernels.append(draw_(st.sampled_from([1, 1, 2, 3, 3, 4, 5])))
        strides.append(draw_(st.sampled_from([1, 1, 2, 3])))
        sizes.append(draw_(st.integers(1, 9)) + ((kernels[axis] - 1) * dilations[axis] if padding == "VALID" else 0))
    outs = [_out(sizes[a], kernels[a], strides[a], dilations[a], padding) for a in range(2)]
    depth, channels = draw_(st.integers(1, 21)), draw_(st.integers(1, 13))
    return draw_(_layer("CONV_2D", (1, *sizes, depth), (channels, *kernels, depth), (1, *outs, channels),
                        _conv_attrs(strides, dilations, padding, draw_(_ACTIVATIONS)), 0,
                        kernels[0] * kernels[1] * depth))


@st.composite
def one_row_of_taps(draw_) -> Case:
    """1x3 taps over an odd number of channels: windows that are no whole words and hang over two borders."""
    depth, stride = draw_(st.sampled_from([1, 3, 5, 7])), draw_(st.integers(1, 2))
    outs = [_out(5, 1, stride, 1, "SAME"), _out(7, 3, stride, 1, "SAME")]
    return draw_(_layer("CONV_2D", (1, 5, 7, depth), (5, 1, 3, depth), (1, *outs, 5),
                        _conv_attrs([stride] * 2, [1, 1], "SAME", "RELU"), 0, 3 * depth))


@st.composite
def depthwise_conv_2d(draw_) -> Case:
    padding, stride = draw_(st.sampled_from(["SAME", "VALID"])), draw_(st.sampled_from([1, 1, 2]))
    least = 2 if padding == "VALID" else 0
    sizes = [draw_(st.one_of(st.integers(1, 9), st.integers(1, 20))) + least for _ in range(2)]
    outs, channels = [_out(s, 3, stride, 1, padding) for s in sizes], draw_(st.integers(4, 14))
    attrs = _conv_attrs([stride] * 2, [1, 1], padding, draw_(_ACTIVATIONS)) | {"depth_multiplier": 1}
    return draw_(_layer("DEPTHWISE_CONV_2D", (1, *sizes, channels), (1, 3, 3, channels), (1, *outs, channels), attrs,
                        3, 9))


@st.composite
def fully_connected(draw_) -> Case:
    depth, outputs, rows = draw_(st.integers(4, 70)), draw_(st.integers(1, 27)), draw_(st.integers(1, 3))
    return draw_(_layer("FULLY_CONNECTED", (rows, depth), (outputs, depth), (rows, outputs),
                        {"activation": draw_(_ACTIVATIONS), "keep_dims": False}, 0, depth))


@st.composite
def add(draw_) -> Case:
    shape = draw_(st.sampled_from([(1, 5, 3, 7), (1, 1, 1, 1), (3, 4), (1, 2, 9, 8)]))
    scale, ratio = draw_(st.floats(2.0 ** -10, 2.0, width=32)), draw_(st.floats(0.01, 0.99))
    scales = [scale, float(np.float32(scale * ratio))]
    if draw_(st.booleans()):
        scales.reverse()
    scales.append(float(np.float32(scale * draw_(st.floats(0.1, 4.0)))))
    tensors = tuple(Tensor(n, shape, "int8", Quant.of(s, draw_(_ZERO_POINTS))) for n, s in zip("aby", scales))
    graph = Graph(tensors, (Op("ADD", (0, 1), (2,), {"activation": draw_(_ACTIVATIONS)}),), (0, 1), (2,))
    return _legal(graph), [draw_(_filled(shape)), draw_(_filled(shape))]


@st.composite
def global_pool(draw_) -> Case:
    rows, columns, channels = draw_(st.integers(1, 15)), draw_(st.integers(1, 17)), 4 * draw_(st.integers(1, 5))
    quant = Quant.of(draw_(st.floats(2.0 ** -10, 2.0, width=32)), draw_(_ZERO_POINTS))
    attrs = {"filter_h": rows, "filter_w": columns, "stride_h": rows, "stride_w": columns,
             "padding": draw_(st.sampled_from(["SAME", "VALID"])), "activation": draw_(_ACTIVATIONS)}
    tensors = (Tensor("x", (1, rows, columns, channels), "int8", quant),
               Tensor("y", (1, 1, 1, channels), "int8", quant))
    graph = Graph(tensors, (Op("AVERAGE_POOL_2D", (0,), (1,), attrs),), (0,), (1,))
    return _legal(graph), [draw_(_filled(tensors[0].shape))]


CASES = {"CONV_2D_DSP": conv_2d(), "DEPTHWISE_DSP": depthwise_conv_2d(), "FULLY_CONNECTED_DSP": fully_connected(),
         "ADD_DSP": add(), "AVERAGE_POOL_DSP": global_pool()}


def _compiled(graph: Graph, wide: bool = False) -> Compiled:
    """As given; wide: with weights as int16 wherever that is possible."""
    chosen = {i: "wide" for i, op in enumerate(graph.ops) if wide and "wide" in candidates(graph, op, "dsp")}
    return compile_graph(graph, Board.load(_BOARD), rewrite=not wide, choice=Choice(chosen) if wide else None)


def _differences(case: Case, folder: Path, wide: bool = False) -> tuple[list[int], int]:
    """(outputs that differ from the reference, how many calls were of DSP kernels) of the host build."""
    graph, inputs = case
    compiled = _compiled(graph, wide)
    dsp = sum(call.kernel.endswith("_dsp") for calls in compiled.plan.program.calls for call in calls)
    expected, (found, _) = reference.run(graph, inputs), build_host(compiled, folder).run(inputs)
    return [k for k, t in enumerate(graph.outputs) if found[k].tobytes() != expected[t].tobytes()], dsp


@pytest.mark.parametrize("kind", sorted(CASES))
def test_host_model_equals_reference(kind, tmp_path):
    different, dsp_calls = _differences(bundle(draw(CASES[kind], 100)), tmp_path)
    assert different == [] and dsp_calls > 40


@pytest.mark.parametrize("kind", sorted(CASES))
@pytest.mark.parametrize("number", range(3))
def test_kernel_stays_within_its_tensors(kind, number, tmp_path):
    """Alone in its arena: output over input where allowed, and no byte beside them."""
    assert _differences(draw(CASES[kind], 10, 200 + number)[-1], tmp_path)[0] == []


@pytest.mark.parametrize("kind", sorted(CASES.keys() - {"FULLY_CONNECTED_DSP"}))
def test_pieces_give_the_whole_layer(kind, tmp_path):
    """Any cut of rows, both directions, ring buffers, over the input."""
    program = RowsProgram(seed=4)
    for case in draw(CASES[kind], 30, 9):
        program.add(case, "dsp")
    assert any(name.endswith("_dsp") for name in program.kernels) and program.run(tmp_path) == []


_WIDE = ["CONV_2D_DSP", "FULLY_CONNECTED_DSP"]


@pytest.mark.parametrize("kind", _WIDE)
def test_wide_weights_equal_the_reference(kind, tmp_path, monkeypatch):
    case = bundle(draw(CASES[kind], 60, 70))
    different, _ = _differences(case, tmp_path, wide=True)
    assert different == [] and sum("_wide_dsp" in k for k in _compiled(case[0], wide=True).kernels) == 1
    monkeypatch.setitem(ISAS, "dsp", ("wide", "dsp", "scalar"))
    program = RowsProgram(seed=5)
    for one in draw(CASES[kind], 20, 71):
        program.add(one, "dsp")
    assert program.run(tmp_path) == []


_on_target = pytest.mark.skipif(shutil.which("qemu-system-arm") is None or shutil.which("arm-none-eabi-gcc") is None,
                                reason="needs qemu-system-arm and arm-none-eabi-gcc")


@_on_target
def test_assembly_equals_tflite_micro(tmp_path):
    """All kinds of layers in one firmware, on the emulated Cortex-M4: with the drawn inputs and with random ones."""
    graph, inputs = bundle([case for kind in sorted(CASES) for case in draw(CASES[kind], 25, 40)])
    board = Board.load(_BOARD)
    for wide in (False, True):
        image = build(_compiled(graph, wide), board, tmp_path, tflite=write_tflite(graph))
        assert validate(image, [inputs]).mismatches == 0
        assert validate(image, n_random=2).mismatches == 0


@_on_target
def test_both_widths_meet_in_a_program_that_is_compiled_as_a_whole(tmp_path):
    graph, inputs = bundle([case for kind in _WIDE for case in draw(CASES[kind], 6, 42)])
    board, ways = Board.load(_BOARD), [candidates(graph, op, "dsp") for op in graph.ops]
    choice = Choice({i: ("wide", "dsp")[i % 2] for i, found in enumerate(ways) if "wide" in found and "dsp" in found})
    compiled = compile_graph(graph, board, "flash", rewrite=False, choice=choice)
    assert {f"{kernel}_s8_{width}" for kernel in ("mn_conv", "mn_fully_connected") for width in ("dsp", "wide_dsp")} <= set(
        compiled.kernels)
    assert validate(build(compiled, board, tmp_path, tflite=write_tflite(graph)), [inputs]).mismatches == 0


def test_one_row_of_taps_hangs_over_the_border(tmp_path):
    different, dsp_calls = _differences(bundle(draw(one_row_of_taps(), 12)), tmp_path)
    assert different == [] and dsp_calls > 3


def test_pairs_give_both_sums_back():
    rng = np.random.default_rng(1)
    weights, x = rng.integers(-127, 128, (6, 2, 11)), rng.integers(-128, 128, (2, 11))
    steps = in_quads(weights)
    inputs = in_quads(x[None])[0]
    inputs[weights_absent(steps)] = 99                       # whatever lies there is multiplied by 0
    words = byte_pairs(steps).astype(np.int64)
    low, high = (((words >> s & 0xFFFF) ^ 0x8000) - 0x8000 for s in (0, 16))
    s = low @ inputs[:, 0] + high @ inputs[:, 1]
    t = ((low & 0xFF ^ 0x80) - 0x80) @ inputs[:, 0] + ((high & 0xFF ^ 0x80) - 0x80) @ inputs[:, 1]
    expected = (weights * x).sum(axis=(1, 2))
    assert t.tolist() == expected[0::2].tolist() and ((s - t) >> 8).tolist() == expected[1::2].tolist()


def weights_absent(steps: np.ndarray) -> np.ndarray:
    return (steps == 0).all(axis=0)


@pytest.mark.parametrize(("weight", "count"), [(-128, 3), (127, 600)])
def test_weights_that_do_not_pack_are_refused(weight, count):
    assert byte_pairs(in_quads(np.full((2, 1, count), weight))) is None


@pytest.mark.parametrize("real", [0.45, 0.03, 1 / 64, 3 / 1024, 0.0009, 2.0 ** -21, 2.0 ** -23, 0.0])
@pytest.mark.parametrize("zero_point", [-128, -5, 126])
def test_lines_give_every_byte_that_two_roundings_give(real, zero_point):
    rng = np.random.default_rng(2)
    multiplier, shift = (np.full(4, v) for v in quantize_multiplier(real))
    weights, bias = rng.integers(-127, 128, (4, 30)), rng.integers(-9000, 9000, 4)
    weights[3] = 0
    p = Requant(multiplier, shift, input_zero_point=0, output_zero_point=zero_point, low=zero_point, high=127)
    found = lines(p, weights, bias)
    assert found is not None or real > 0.1                   # slopes of more than 31 bits
    for c in range(4 if found else 0):
        reach = 128 * np.abs(weights[c]).sum()
        acc = np.arange(bias[c] - reach, bias[c] + reach + 1)
        line = found.offset[c] + (acc - bias[c] << LINE_SHIFT)
        assert np.abs(line).max() < 1 << 31
        scaled = (line * found.slope[c] >> 32) + ((2 * zero_point + 1) << (LINE_POINT - 1))
        expected = scale_int32(acc, multiplier[c], shift[c]) + zero_point
        assert (np.clip(scaled >> LINE_POINT, zero_point, 127) == np.clip(expected, zero_point, 127)).all()


def test_lines_are_refused_below_the_zero_point():
    p = Requant(np.array([1 << 30]), np.array([-5]), input_zero_point=0, output_zero_point=-3, low=-128, high=127)
    assert lines(p, np.ones((1, 3)), np.array([7])) is None
