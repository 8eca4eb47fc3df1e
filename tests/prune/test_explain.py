# SPDX-License-Identifier: Apache-2.0
"""Groups found on an int8 Graph are those of the torch module that it came from; prices are the compiler's."""
from __future__ import annotations

import json

import pytest

from mcunas.board import Board
from mcunas.cli import main
from mcunas.graph.torch_lower import lower
from mcunas.prune.explain import explain
from mcunas.prune.graph_groups import graph_groups
from mcunas.prune.groups import find_groups
from mcunas.prune.resources import Resources
from mcunas.prune.skeleton import skeleton_of
from tests.prune.nets import EXAMPLE, Concatenated, Separable, residual, settled

BOARD = Board.load("mps2-an386")


def _skeleton(make):
    net = settled(make())
    channels = find_groups(net, EXAMPLE)
    return channels, skeleton_of(lower(net, EXAMPLE), channels)


@pytest.mark.parametrize("make", [residual, Separable, Concatenated])
def test_a_graph_has_the_groups_of_its_module(make) -> None:
    channels, skeleton = _skeleton(make)
    groups, frozen, found = graph_groups(skeleton.graph)
    assert [g.channels for g in groups] == [g.channels for g in channels.groups]
    assert any("network output" in reason for _, reason in frozen)
    for narrower in range(1, 3):
        widths = [max(1, w - narrower) for w in skeleton.full]
        assert Resources(found, BOARD).exact(widths) == Resources(skeleton, BOARD).exact(widths)


def test_a_price_is_what_removing_channels_saves() -> None:
    channels, skeleton = _skeleton(residual)
    found = explain(channels.groups, channels.frozen, skeleton, BOARD)
    resources = Resources(skeleton, BOARD)
    dense, less = resources.exact(skeleton.full), resources.exact([6, 6, 8, 8, 8, 12])
    price = found["groups"][4]
    assert price["name"] == "stages.2.conv1" and price["least"] == 4 and price["channels"] == 12
    assert price["flash_bytes"] == (dense.flash_bytes - less.flash_bytes) / 4
    assert price["cycles"] == pytest.approx((dense.latency_us - less.latency_us) * BOARD.clock_hz / 4e6)
    assert sum(dense.live_bytes) - sum(less.live_bytes) == pytest.approx(4 * sum(price["ram_bytes"].values()))


def test_the_verb_explains_a_task_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leave:
        main(["explain", "--task", "digits", "--json"])
    assert leave.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert [g["name"] for g in found["groups"]][:2] == ["stem", "stages.0.conv1"]
    assert found["frozen"] == [{"members": ["head"], "reason": "network output"}]


def test_the_verb_wants_a_file_or_a_task(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leave:
        main(["explain"])
    assert leave.value.code == 2 and "a .tflite file or a task" in capsys.readouterr().err
