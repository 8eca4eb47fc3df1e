# SPDX-License-Identifier: Apache-2.0
"""Fits to measurements of real boards: what the committed tables predict against what was published."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mcunas.board import Board
from mcunas.cost import estimate, estimate_tflm
from mcunas.cost.energy import power_table
from mcunas.cost.fit_power import rows, setups
from mcunas.cost.fit_silicon import MODELS, held_out_errors, layer_rows, network_rows
from mcunas.cost.regression import nonnegative
from mcunas.cost.tflm_cycles import TERMS, graph_terms, silicon_tables, terms
from mcunas.graph import read_tflite
from mcunas.graph.ir import Graph
from mcunas.graph.to_int16 import can_be_int16, widened


def network(folder: Path, name: str) -> Graph:
    return read_tflite((folder / "mlperf_tiny" / f"{MODELS[name]}.tflite").read_bytes(), name)


def test_layers_of_unseen_shapes_are_priced_within_five_percent(data_dir: Path) -> None:
    for device, (_, _, features, counts, shapes) in layer_rows(data_dir / "measurements/micronas_layers.csv").items():
        error = np.abs(held_out_errors(features, counts, shapes))
        assert np.median(error) < 0.05 and np.percentile(error, 90) < 0.05, device


def test_every_measured_network_is_priced_within_ten_percent(data_dir: Path) -> None:
    work = {name: np.array(graph_terms(network(data_dir, name))) for name in MODELS}
    engines = {(s.board, e.name.split(": ")[-1]): e for s in silicon_tables() for e in s.engines}
    found = network_rows(data_dir / "measurements/latency.csv")
    checked = 0
    for (board, _, _, engine), networks in found.items():
        for name, cycles in networks.items() if len(networks) > 2 else ():
            assert np.dot(engines[board, engine].cycles, work[name]) == pytest.approx(cycles, rel=0.1), (board, engine, name)
            checked += 1
    assert checked > 100


def test_published_energies_are_power_times_latency_within_fifteen_percent(data_dir: Path) -> None:
    table = {(p.board, p.setup): p for p in power_table()}
    found = setups(rows(data_dir / "measurements/latency.csv"))
    assert {"NUCLEO-L4R5ZI", "NUCLEO-U575ZI-Q", "NUCLEO-H7A3ZI-Q"} <= {board for board, _ in found}
    for key, milliwatts in found.items():
        assert np.allclose(table[key].milliwatts, milliwatts, rtol=0.15, atol=0), key


def test_a_board_with_known_power_has_an_energy_and_says_that_it_is_an_estimate(data_dir: Path, tmp_path: Path) -> None:
    text = Board.load("mps2-an386").path.read_text().replace("clock_hz = 25_000_000", "clock_hz = 120_000_000")
    (tmp_path / "nucleo-l4r5zi.toml").write_text(text)
    graph, board = network(data_dir, "KWS"), Board.load(tmp_path / "nucleo-l4r5zi.toml")
    for cost in (estimate(graph, board), estimate_tflm(graph, board)):
        assert cost.energy_uj == pytest.approx(43.7 * cost.latency_us / 1e3, rel=1e-3)
        assert cost.energy_source.startswith("estimate: 43.7 mW")
    assert estimate_tflm(graph, board).latency_us == pytest.approx(99.81e3, rel=0.1)      # MLPerf Tiny v1.0, microTVM
    assert estimate(graph, Board.load("mps2-an386")).energy_uj is None


def test_a_core_that_nobody_measured_has_no_latency(data_dir: Path) -> None:
    cost = estimate_tflm(network(data_dir, "AD"), Board.load("mps3-an547"))
    assert cost.ram_bytes == pytest.approx(9_268, rel=0.02) and cost.macs == 264_192
    assert cost.cycles is None and "no measurement" in cost.source


def test_int16_activations_have_no_latency_because_nobody_measured_them(data_dir: Path) -> None:
    """One tensor is enough; all else of the cost stays, with the kernels for int16."""
    graph, board = network(data_dir, "KWS"), Board.load("nucleo-l4r5zi")
    root = can_be_int16(graph)[1]
    cost, wide = estimate_tflm(graph, board), estimate_tflm(widened(graph, {root: 0.0002}), board)
    assert cost.cycles and (wide.cycles, wide.latency_us, wide.energy_uj) == (None, None, None)
    assert "no price of TFLite Micro on int16 activations is known (CONV_2D, DEPTHWISE_CONV_2D, QUANTIZE)" in wide.source
    assert 25_000 < wide.code_bytes - cost.code_bytes < 40_000 and wide.ram_bytes > cost.ram_bytes


def test_terms_of_a_convolution_counted_by_hand() -> None:
    attrs = {"padding": "SAME", "stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1}
    found = dict(zip(TERMS, terms("CONV_2D", attrs, [(1, 4, 4, 1), (5, 3, 3, 1)], (1, 4, 4, 5))))
    assert found["macs"] == 16 * 8 * 5 and found["tail"] == 16 * 5 and found["positions"] == 100
    found = dict(zip(TERMS, terms("CONV_2D", attrs, [(1, 4, 4, 24), (5, 1, 1, 24)], (1, 4, 4, 5))))
    assert found["point_block"] == 16 * 8 * 5 and found["macs"] == 0


def test_prices_are_recovered_and_never_negative() -> None:
    random = np.random.default_rng(0)
    features = random.uniform(1, 100, (40, 4))
    assert nonnegative(features, features @ [3.0, 0.0, 50.0, 0.2]) == pytest.approx([3, 0, 50, 0.2], abs=1e-6)
    assert (nonnegative(features, features @ [3.0, -2.0, 50.0, 0.2]) >= 0).all()
