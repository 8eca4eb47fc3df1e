# SPDX-License-Identifier: Apache-2.0
"""The kernels of Cortex-M3 and Armv6-M: the C twins on the host against the numpy reference, the assembly in QEMU.

Shapes are those that the lowering takes: batch 1, no groups. Awkward ones: one channel, one pixel, odd everything,
windows that hang over every border.
"""
from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import strategies as st

from mcunas.board import Board
from mcunas.compiler import Choice, compile_graph
from mcunas.compiler.lower import candidates
from mcunas.compiler.lower.staircase import staircase
from mcunas.device import build, validate
from mcunas.device.host import build_host
from mcunas.graph import reference, write_tflite
from mcunas.graph.arithmetic import clamp_int8, quantize_multiplier, scale_int32
from mcunas.graph.integer_params import Requant
from tests.compiler.random_plans import randomly_cut
from tests.compiler.test_stream import wrong
from tests.kernels.bundle import Case, bundle, draw
from tests.kernels.rows_program import RowsProgram
from tests.kernels.strategies import _ACTIVATIONS, _conv_attrs, _layer, fully_connected
from tests.kernels.strategies_graph import row_network

BOARDS = {"m3": "mps2-an385", "m0": "mps2-an385-m0plus"}


def _out(size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    return -(-size // stride) if padding == "SAME" else (size - (kernel - 1) * dilation - 1) // stride + 1


@st.composite
def conv_2d(draw_) -> Case:
    padding, kernels, strides, sizes = draw_(st.sampled_from(["SAME", "VALID"])), [], [], []
    dilations = [draw_(st.sampled_from([1, 1, 2])), 1]
    for axis in range(2):
        kernels.append(draw_(st.sampled_from([1, 1, 2, 3, 3, 5])))
        strides.append(draw_(st.sampled_from([1, 1, 2, 3])))
        sizes.append(draw_(st.integers(1, 9)) + ((kernels[axis] - 1) * dilations[axis] if padding == "VALID" else 0))
    outs = [_out(sizes[a], kernels[a], strides[a], dilations[a], padding) for a in range(2)]
    depth, channels = draw_(st.integers(1, 21)), draw_(st.integers(1, 13))
    return draw_(_layer("CONV_2D", (1, *sizes, depth), (channels, *kernels, depth), (1, *outs, channels),
                        _conv_attrs(strides, dilations, padding, draw_(_ACTIVATIONS)), 0,
                        kernels[0] * kernels[1] * depth))


@st.composite
def depthwise_conv_2d(draw_) -> Case:
    padding, strides = draw_(st.sampled_from(["SAME", "VALID"])), [draw_(st.sampled_from([1, 1, 2])) for _ in range(2)]
    sizes = [draw_(st.integers(1, 9)) + (2 if padding == "VALID" else 0) for _ in range(2)]
    outs, channels = [_out(sizes[a], 3, strides[a], 1, padding) for a in range(2)], draw_(st.integers(1, 21))
    attrs = _conv_attrs(strides, [1, 1], padding, draw_(_ACTIVATIONS)) | {"depth_multiplier": 1}
    return draw_(_layer("DEPTHWISE_CONV_2D", (1, *sizes, channels), (1, 3, 3, channels), (1, *outs, channels), attrs,
                        3, 9))


CASES = {"conv": conv_2d(), "depthwise": depthwise_conv_2d(), "fully_connected": fully_connected()}


def _compiled(graph, isa):
    """With the instruction set's own kernels wherever they apply, also where plainer ones would be faster."""
    choice = Choice({i: isa for i, op in enumerate(graph.ops) if isa in candidates(graph, op, isa)})
    compiled = compile_graph(graph, Board.load(BOARDS[isa]), rewrite=False, choice=choice)
    kernels = Counter(call.kernel for calls in compiled.plan.program.calls for call in calls)
    return compiled, sum(n for name, n in kernels.items() if name.endswith(isa))


@pytest.mark.parametrize("isa", sorted(BOARDS))
@pytest.mark.parametrize("kind", sorted(CASES))
def test_host_model_equals_reference(kind, isa, tmp_path):
    graph, inputs = bundle(draw(CASES[kind], 60))
    compiled, own = _compiled(graph, isa)
    assert own > 25
    expected, (_, taps) = reference.run(graph, inputs), build_host(compiled, tmp_path).run(inputs)
    assert [graph.where(i) for i, op in enumerate(graph.ops)
            if taps[op.outputs[0]].tobytes() != expected[op.outputs[0]].tobytes()] == []


@pytest.mark.parametrize("isa", sorted(BOARDS))
@pytest.mark.parametrize("kind", sorted(CASES))
@pytest.mark.parametrize("number", range(2))
def test_kernel_stays_within_its_tensors(kind, isa, number, tmp_path):
    """Alone in its arena: output over input where allowed, and no byte beside them."""
    graph, inputs = draw(CASES[kind], 10, 200 + number)[-1]
    expected, (_, taps) = reference.run(graph, inputs), build_host(_compiled(graph, isa)[0], tmp_path).run(inputs)
    out = graph.ops[0].outputs[0]
    assert taps[out].tobytes() == expected[out].tobytes()


@pytest.mark.parametrize("isa", sorted(BOARDS))
def test_assembly_equals_tflite_micro_in_qemu(isa, tmp_path):
    graph, _ = bundle([case for number, kind in enumerate(sorted(CASES)) for case in draw(CASES[kind], 9, number)])
    compiled, own = _compiled(graph, isa)
    assert own > 10
    image = build(compiled, Board.load(BOARDS[isa]), tmp_path, tflite=write_tflite(graph))
    report = validate(image, n_random=4)
    assert report.mismatches == 0, report.first_mismatch


@pytest.mark.parametrize("zero_point", [-128, -1, 0, 90])
def test_staircase_is_the_exact_arithmetic_everywhere(zero_point):
    rng = np.random.default_rng(zero_point + 128)
    weights = rng.integers(-127, 128, (20, 30))
    pairs = [quantize_multiplier(float(m)) for m in 2.0 ** rng.uniform(-11, -5, 20)]
    p = Requant(*(np.array(v, np.int64) for v in zip(*pairs)), 0, zero_point, -128, 127)
    bias = rng.integers(-3000, 3000, 20)
    stairs = staircase(p, weights, bias)
    assert stairs is not None and stairs.signs == (zero_point > -128)
    for c, words in enumerate(stairs.words.astype(np.int64)):
        reach = int(np.abs(weights[c]).sum()) * 127
        total = np.arange(-reach, reach + 1)
        fine, coarse, limit = words[2] & 0x1FFF, words[3] >> 5 & 0x7FFFFFF, (words[2] & 0xFFFFFFFF) >> 13
        a = np.clip(total - words[0], 0, limit)
        value = a * coarse + (a * fine >> 13) + words[1]
        if stairs.signs:
            value -= np.where(a < words[4], 1 << (words[3] & 31), 0)
        found = (value >> 24 & 0xFF).astype(np.uint8).view(np.int8)
        exact = clamp_int8(scale_int32(total + bias[c], p.multiplier[c], p.shift[c]) + zero_point)
        assert np.array_equal(found, exact.astype(np.int8))


@pytest.mark.parametrize("isa", sorted(BOARDS))
@pytest.mark.parametrize("number", range(3))
def test_networks_in_pieces_of_rows_between_rings_give_the_same_bytes(isa, number, tmp_path):
    graph, inputs = bundle(draw(row_network(), 4, 300 + number))
    compiled = randomly_cut(graph, number, isa)
    assert wrong(compiled, (graph, inputs), tmp_path) == []


@pytest.mark.parametrize("isa, kinds", [("m3", (conv_2d, depthwise_conv_2d)), ("m0", (conv_2d,))])
def test_pieces_and_parts_of_wider_tensors_give_the_whole_layer(isa, kinds, tmp_path):
    """Not the depthwise kernel of m0: it counts on addresses of 32 bits, between scratch and input."""
    program = RowsProgram(seed=6)
    for kind in kinds:
        for case in draw(kind(), 15, 7):
            program.add(case, isa, 2)
    assert len([k for k in program.kernels if k.endswith(isa)]) == len(kinds) and program.run(tmp_path) == []
