# SPDX-License-Identifier: Apache-2.0
"""Figures of merit, runs side by side, and the layers that a drawing shows."""
from __future__ import annotations

import torch
from torch import nn

from mcunas.board import Board
from mcunas.cost import estimate
from mcunas.report.metrics import metrics
from mcunas.report.network import compared, drawn, layers_of
from mcunas.report.side_by_side import side_by_side
from mcunas.space.price import graph_of
from tests.report.runs import RUN


class Net(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, width, 3, 2, 1), nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.first(x).relu().mean((2, 3)))


def test_figures_of_merit_are_those_of_the_compiler() -> None:
    graph = graph_of(Net(8).eval(), (8, 8), 1)
    cost = estimate(graph, Board.load("mps2-an386"), rewrite=False)
    found = {row["name"]: row for row in metrics(graph, 4321, cost)}
    assert found["parameters"]["value"] == 8 * 9 + 8 + 80 + 10 and found["model file"]["value"] == 4321
    assert found["peak memory"]["value"] == cost.ram_bytes and found["latency"]["value"] == cost.latency_us
    assert found["energy"]["value"] is None and all(row["definition"] for row in found.values())
    assert "effectiveness" not in {row["group"] for row in found.values()}
    groups = [row["group"] for row in metrics(graph, 1, cost, RUN["accuracy"])]
    assert groups.count("effectiveness") == 3 and groups == sorted(groups, key=groups.index)


def test_a_drawing_has_a_bar_for_each_layer_before_and_after() -> None:
    layers = compared(layers_of(Net(16), (8, 8, 1)), layers_of(Net(4), (8, 8, 1)))
    assert layers == [{"name": "first", "before": [4, 4, 16], "after": [4, 4, 4]},
                      {"name": "last", "before": [1, 1, 10], "after": [1, 1, 10]}]
    picture = drawn(layers)
    assert picture.count("<rect") == 4 and "4×4" in picture and drawn([]) == ""


def test_runs_stand_side_by_side_even_where_they_know_different_things() -> None:
    rows = {row["name"]: row for row in side_by_side([RUN, {"title": "other", "board": {"key": "pico"}}])}
    assert rows["board"]["values"] == ["mps2-an386", "pico"] and rows["RAM"]["values"] == [9_216, None]
    assert rows["RAM, budget"]["values"][0] == 10_240 and rows["accuracy, int8 on the host"]["values"] == [0.975, None]
