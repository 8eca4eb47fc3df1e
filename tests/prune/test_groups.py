# SPDX-License-Identifier: Apache-2.0
"""Which channels must be removed together, and that removing them is what masking them is."""
from __future__ import annotations

import pytest
import torch
from torch import nn

from mcunas.prune.groups import find_groups
from mcunas.prune.masks import Gates, Widths
from mcunas.prune.slicing import slice_channels
from tests.prune.nets import EXAMPLE, Concatenated, Reused, Separable, residual, settled


def _groups(net: torch.nn.Module) -> dict[str, tuple[int, tuple[str, ...]]]:
    return {g.name: (g.channels, g.modules) for g in find_groups(net.eval(), EXAMPLE).groups}


def test_an_addition_couples_its_branches_and_the_logits_stay() -> None:
    assert _groups(residual()) == {
        "stem": (6, ("stem", "stages.0.conv2")), "stages.0.conv1": (6, ("stages.0.conv1",)),
        "stages.1.conv1": (8, ("stages.1.conv1",)), "stages.1.conv2": (8, ("stages.1.conv2", "stages.1.shortcut.0")),
        "stages.2.conv1": (12, ("stages.2.conv1",)), "stages.2.conv2": (12, ("stages.2.conv2", "stages.2.shortcut.0"))}


def test_a_depthwise_convolution_belongs_to_its_input() -> None:
    assert _groups(Separable()) == {"stem": (6, ("stem", "dw")), "pw": (8, ("pw",))}


def test_a_concatenation_strings_groups_together() -> None:
    net = Concatenated().eval()
    channels = find_groups(net, EXAMPLE)
    assert [g.name for g in channels.groups] == ["stem", "left", "right"]
    assert [s[0] for s in channels.inputs["mix"].segments] == [1, 2]
    assert channels.groups[0].modules == ("stem", "mix")


def test_a_reused_layer_is_frozen_with_a_reason() -> None:
    channels = find_groups(Reused().eval(), EXAMPLE)
    assert not channels.groups
    assert any("twice is shared" in reason for _, reason in channels.frozen)


def test_layers_of_the_same_weights_keep_their_widths() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 6, 3), nn.Flatten(1),
                        nn.Linear(6, 3))
    net[2].weight = net[1].weight
    channels = find_groups(net.eval(), torch.zeros(1, 1, 9, 9))
    assert [g.name for g in channels.groups] == ["3"]
    assert "2 shares its weights" in {reason for _, reason in channels.frozen}
    slice_channels(net, channels, [torch.arange(2)])
    assert net(torch.zeros(2, 1, 9, 9)).shape == (2, 3)


class Viewed(nn.Module):
    def __init__(self, view) -> None:
        super().__init__()
        self.stem, self.head, self.view = nn.Conv2d(1, 6, 3, padding=1), nn.Linear(6 * 64, 3), view

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.view(self.stem(x)))


@pytest.mark.parametrize("view", [lambda x: x.view(x.size(0), -1), lambda x: torch.reshape(x, (x.shape[0], -1)),
                                  lambda x: x.flatten(1)])
def test_a_flatten_by_sizes_is_followed(view) -> None:
    net = Viewed(view).eval()
    channels = find_groups(net, EXAMPLE)
    assert [g.name for g in channels.groups] == ["stem"]
    slice_channels(net, channels, [torch.arange(2)])
    assert net(torch.zeros(4, 1, 8, 8)).shape == (4, 3)


def test_a_flatten_by_numbers_keeps_its_width() -> None:
    channels = find_groups(Viewed(lambda x: x.view(-1, 384)).eval(), EXAMPLE)
    assert channels.groups == () and dict(channels.frozen)["stem",] == "view says its length as a number"


@pytest.mark.parametrize("make", [residual, Separable, Concatenated])
def test_slicing_equals_hard_masking(make) -> None:
    torch.manual_seed(0)
    net = settled(make())
    images = torch.randn(5, 1, 8, 8)
    channels = find_groups(net, EXAMPLE)
    widths = Widths(channels)
    widths.importance = [torch.rand(g.channels) for g in channels.groups]
    widths.reorder()
    chosen = [max(1, g.channels // 2) for g in channels.groups]
    with torch.no_grad():
        with Gates(net, channels, widths.hard_masks(chosen)):
            masked = net(images)
        smaller = slice_channels(net, channels, widths.keep(chosen))
        sliced = net(images)
    assert [g.channels for g in smaller.groups] == chosen
    assert (masked - sliced).abs().max() < 1e-5


def test_slicing_takes_the_momentum_along() -> None:
    torch.manual_seed(0)
    net = residual().train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(torch.randn(4, 1, 8, 8)).sum().backward()
    optimizer.step()
    before = optimizer.state[net.stages[0].conv1.weight]["momentum_buffer"].clone()
    channels = find_groups(net, EXAMPLE)
    keep = [torch.arange(g.channels) for g in channels.groups]
    keep[1] = torch.tensor([4, 1])
    slice_channels(net, channels, keep, optimizer)
    after = optimizer.state[net.stages[0].conv1.weight]["momentum_buffer"]
    assert torch.equal(after, before[[4, 1]])
    net(torch.randn(4, 1, 8, 8)).sum().backward()
    optimizer.step()
