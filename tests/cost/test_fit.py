# SPDX-License-Identifier: Apache-2.0
"""What the cost tables are fitted to: layers side by side count what they count alone; unknown kernels are simulated."""
from __future__ import annotations

import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mcunas.board import Board
from mcunas.compiler import compile_graph
from mcunas.compiler.features import FEATURES
from mcunas.compiler.lower import candidates
from mcunas.compiler.tables import instruction_table
from mcunas.cost import estimate
from mcunas.cost.fit import Sample, fit_kernel, measured, together
from mcunas.cost.fit_layers import layers, one_op
from mcunas.cost.fit_missing import completed
from mcunas.device import build
from mcunas.device.alone import simulated
from mcunas.device.profile import profile
from mcunas.errors import InputError
from mcunas.graph import verify
from mcunas.graph.ir import Graph
from mcunas.graph.nibbles import with_int4
from mcunas.paths import boards_dir

BOARD = Board.load("mps2-an386")
WINDOW = {"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "activation": "RELU", "padding": "SAME"}


def conv():
    return one_op("CONV_2D", [(1, 6, 6, 8), (12, 3, 3, 8)], WINDOW)


def instruction_table_text() -> str:
    return (boards_dir() / "cost" / f"instructions-{BOARD.cost_table}.toml").read_text()


def test_layers_side_by_side_count_what_they_count_alone(tmp_path: Path) -> None:
    softmax = one_op("SOFTMAX", [(1, 10)], {"beta": 1.0})
    verify(together([conv(), softmax]))
    rows = measured([conv(), softmax], BOARD, tmp_path / "both")
    assert {"mn_conv_s8_dsp", "mn_conv_s8", "mn_softmax_s8"} <= set(rows)           # every variant of the kernels
    alone = profile(build(compile_graph(conv(), BOARD, rewrite=False), BOARD, tmp_path / "alone")).layers[0]
    assert rows["mn_conv_s8_dsp"][0].instructions == pytest.approx(alone.instructions, rel=0.02)
    assert rows["mn_conv_s8_dsp"][0].cycles == pytest.approx(alone.cycles, rel=0.02)


def test_a_kernel_that_the_table_lacks_is_simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    table = instruction_table(BOARD)
    known = {k: v for k, v in table.per_unit.items() if k != "mn_softmax_s8"}
    without = replace(table, per_unit=known)
    monkeypatch.setattr(sys.modules["mcunas.cost.estimate"], "instruction_table", lambda board: without)
    graph = one_op("SOFTMAX", [(1, 23)], {"beta": 1.0})
    total = profile(build(compile_graph(graph, BOARD, rewrite=False), BOARD, tmp_path / "image")).total
    cost = estimate(graph, BOARD, rewrite=False, simulator=simulated)
    assert (cost.instructions, cost.cycles) == (total.instructions, total.cycles)
    assert list((tmp_path / "mcunas" / "counts").glob("*.json"))
    with pytest.raises(InputError, match="SOFTMAX on mps2-an386: no price for the kernel mn_softmax_s8; add it to"):
        estimate(graph, BOARD, rewrite=False)


@pytest.mark.parametrize("key", Board.cores())
def test_every_core_knows_the_kernels_of_all_layers_that_prices_are_fitted_to(key: str) -> None:
    board, lacking = Board.load(key), set()
    table = instruction_table(board)
    for graph in layers(2):
        calls = [call for found in candidates(graph, graph.ops[0], board.isa).values() for call in found]
        lacking |= {call.kernel for call in calls} - set(table.per_unit)
    assert not lacking


@pytest.mark.parametrize("key", ["mps2-an386", "mps2-an385-m0plus"])
def test_the_cycles_of_int4_layers_are_near_those_that_they_take(key: str, tmp_path: Path) -> None:
    board = Board.load(key)
    shapes = {"CONV_2D": [(1, 14, 14, 16), (16, 3, 3, 16)], "DEPTHWISE_CONV_2D": [(1, 14, 14, 16), (1, 3, 3, 16)]}
    for kind, sizes in shapes.items():
        attrs = WINDOW | ({"depth_multiplier": 1} if kind == "DEPTHWISE_CONV_2D" else {})
        graph = with_int4(one_op(kind, sizes, attrs), [0])
        found = profile(build(compile_graph(graph, board, rewrite=False), board, tmp_path / kind)).layers[0]
        assert estimate(graph, board, rewrite=False).cycles == pytest.approx(found.cycles, rel=0.1)


def first_layers() -> list[Graph]:
    """Of grey images, a spectrogram, a series; and a depthwise convolution along that series."""
    def conv(x: tuple[int, ...], w: tuple[int, ...], **attrs: object) -> Graph:
        kind = "DEPTHWISE_CONV_2D" if w[0] == 1 else "CONV_2D"
        return one_op(kind, [x, w], WINDOW | attrs | ({"depth_multiplier": 1} if w[0] == 1 else {}))

    return [conv((1, 28, 28, 1), (8, 3, 3, 1), stride_h=2, stride_w=2), conv((1, 12, 12, 1), (12, 3, 3, 1)),
            conv((1, 20, 20, 1), (6, 5, 5, 1), padding="VALID", activation="NONE"),
            conv((1, 33, 10, 1), (10, 10, 4, 1), stride_h=2, stride_w=2), conv((1, 15, 15, 2), (9, 3, 3, 2)),
            conv((1, 64, 1, 6), (12, 9, 1, 6), stride_h=2), conv((1, 32, 1, 14), (1, 9, 1, 14))]


@pytest.mark.parametrize("key", ["mps2-an386", "mps2-an385-m0plus"])
def test_first_layers_take_the_cycles_that_they_are_priced_at(key: str, tmp_path: Path) -> None:
    board, layers = Board.load(key), first_layers()
    found = profile(build(compile_graph(together(layers), board, rewrite=False), board, tmp_path)).layers
    errors = [estimate(layer, board, rewrite=False).cycles / counted.cycles - 1 for layer, counted in zip(layers, found)]
    assert max(map(abs, errors)) < 0.15 and sum(map(abs, errors)) / len(errors) < 0.04, errors


def test_a_missing_kernel_joins_the_table_and_all_else_stays() -> None:
    text = instruction_table_text()
    samples = [Sample((n, 2.0 * n, *(0.0,) * (len(FEATURES) - 2)), 5 * n, 7 * n) for n in range(1, 9)]
    found = completed(text, {"mn_conv_s4_zz": samples})
    data, before = tomllib.loads(found), tomllib.loads(text)
    for what, slope in (("instructions", 5), ("cycles", 7)):
        line = data[what].pop("mn_conv_s4_zz")
        assert line.get("macs", 0) + 2 * line.get("outputs", 0) == pytest.approx(slope, rel=1e-3)
        assert data[what] == before[what]
    assert data.pop("source") != before.pop("source") and set(data) == set(before)
    assert completed(text, {}) == text


def test_the_layers_to_fit_are_legal_and_of_many_kinds() -> None:
    kinds = {verify(graph).ops[0].kind for graph in layers(8)}
    assert {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "MEAN", "SOFTMAX", "PAD", "CONCATENATION"} <= kinds


def test_errors_are_those_of_layers_that_were_held_out() -> None:
    random = np.random.default_rng(0)
    features = random.uniform(1, 100, (40, 3))
    counts = features @ [3.0, 0.0, 50.0]
    counts[::10] *= 1.2
    prices, errors = fit_kernel(features, counts)
    assert errors[::10] == pytest.approx(1 - 1 / 1.2, abs=0.02) and (prices >= 0).all()
    assert np.median(errors) < 0.02 and len(errors) == 40
    assert not len(fit_kernel(features[:7], counts[:7])[1])
