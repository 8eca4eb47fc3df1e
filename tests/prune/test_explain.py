# SPDX-License-Identifier: Apache-2.0
"""Groups found on an int8 Graph are those of the torch module that it came from; prices are the compiler's."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mcunas import tasks
from mcunas.board import Board
from mcunas.cli import main
from mcunas.graph.torch_lower import lower
from mcunas.prune.explain import explain
from mcunas.prune.graph_groups import graph_groups
from mcunas.prune.groups import find_groups
from mcunas.prune.resources import Resources
from mcunas.prune.skeleton import skeleton_of
from mcunas.space import Genotype
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


class Shuffled(nn.Module):
    """Channels that become pixels, which cannot be followed, between two layers that can."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.before, self.after = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 8, 1), nn.Conv2d(2, 9, 3)
        self.up, self.head = nn.PixelShuffle(2), nn.Linear(9, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.up(F.relu(self.before(F.relu(self.stem(x)))))
        return self.head(F.relu(self.after(x)).mean((2, 3)))


def loaders() -> tuple[list, list, list]:
    """Images as EXAMPLE."""
    batch = torch.rand(6, 1, 8, 8), torch.arange(6) % 3
    return [batch], [batch], [batch]


@pytest.mark.parametrize(("model", "groups", "frozen"), [
    ("tests.prune.nets:Concatenated",
     {"stem": (4, 4, ["stem", "mix"]), "left": (4, 6, ["left"]), "right": (4, 5, ["right"])}, {"head": "network output"}),
    ("tests.prune.nets:Separable", {"stem": (4, 6, ["stem", "dw"]), "pw": (4, 8, ["pw"])}, {"head": "network output"}),
    ("tests.prune.nets:Reused", {}, {"stem": "twice is shared", "twice": "twice is shared", "head": "network output"}),
    ("tests.prune.test_explain:Shuffled", {"stem": (4, 6, ["stem"]), "after": (4, 9, ["after"])},
     {"before": "up (PixelShuffle) is not understood", "head": "network output"}),
])
def test_a_network_of_ones_own_is_explained_by_name(model: str, groups: dict, frozen: dict,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    command = ["explain", "--model", model, "--data", "tests.prune.test_explain:loaders"]
    found = json.loads(_said([*command, "--json"], capsys))
    assert {g["name"]: (g["least"], g["channels"], g["members"]) for g in found["groups"]} == groups
    assert {m: one["reason"] for one in found["frozen"] for m in one["members"]} == frozen
    for group in found["groups"]:
        if group["channels"] > group["least"]:
            assert group["flash_bytes"] > 0 and group["cycles"] > 0 and sum(group["ram_bytes"].values()) > 0
    said = _said(command, capsys)
    assert all(f"{least}..{most}" in said for least, most, _ in groups.values())
    assert all(f"frozen: {member}: {reason}" in said for member, reason in frozen.items())


def _said(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as leave:
        main(command)
    assert leave.value.code == 0
    return capsys.readouterr().out


def test_the_verb_explains_a_task_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(_said(["explain", "--task", "digits", "--json"], capsys))
    assert [g["name"] for g in found["groups"]][:2] == ["stem", "stages.0.conv1"]
    assert found["frozen"] == [{"members": ["head"], "reason": "network output"}]


def test_a_found_network_is_explained_from_its_genotype(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task, path = tasks.load("digits"), tmp_path / "genotype.json"
    Genotype(task.start, task.options, task.input_shape, task.classes, {"stem": 5}).save(path)
    found = json.loads(_said(["explain", "--task", "digits", "--model", str(path), "--json"], capsys))
    assert [g["channels"] for g in found["groups"] if g["name"] == "stem"] == [5]


@pytest.mark.parametrize("given", [[], ["--model", "residual"], ["mine.tflite", "--task", "digits"],
                                   ["--task", "digits", "--data", "m:f"], ["mine.tflite", "--model", "residual"]])
def test_the_verb_wants_one_network(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leave:
        main(["explain", *given])
    assert leave.value.code == 2 and "a .tflite file, --task or --data, one of them" in capsys.readouterr().err
