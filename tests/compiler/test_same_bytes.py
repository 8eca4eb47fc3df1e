# SPDX-License-Identifier: Apache-2.0
"""Random networks under every goal of `--optimize`: host C with sanitizers = numpy reference = TFLite Micro.

Residuals, concatenations, strides, odd sizes, one channel, several inputs and outputs; the core changes from network to
network. MCUNAS_BULK=300 runs 300 networks per goal instead of a few; MCUNAS_BULK_FROM=1000 begins with number 1000.
"""
from __future__ import annotations

import os

import pytest

from mcunas.board import Board
from mcunas.compiler import OPTIMIZE, compile_graph
from tests.compiler.poison import wrong
from tests.kernels.bundle import bundle, draw
from tests.kernels.strategies_graph import row_network, small_graph
from tests.oracle import differences

CORES = ("mps2-an386", "mps2-an385", "mps2-an385-m0plus", "mps3-an547")
FIRST, COUNT = int(os.environ.get("MCUNAS_BULK_FROM", "500")), int(os.environ.get("MCUNAS_BULK", "4"))


@pytest.mark.parametrize("number", range(FIRST, FIRST + COUNT))
@pytest.mark.parametrize("goal", OPTIMIZE)
def test_every_goal_gives_the_same_bytes(goal, number, tmp_path):
    case = draw((small_graph, row_network)[number % 7 % 2](), 1, number)[0]
    assert differences(*case) == []
    compiled = compile_graph(case[0], Board.load(CORES[number % 4]), goal, model_id="model")
    assert wrong(compiled, case, tmp_path) == []


@pytest.mark.parametrize("goal", OPTIMIZE)
def test_networks_side_by_side_give_the_same_bytes(goal, tmp_path):
    case = bundle(draw(small_graph(), 3, 7))
    assert wrong(compile_graph(case[0], Board.load("mps3-an547"), goal, model_id="model"), case, tmp_path) == []
