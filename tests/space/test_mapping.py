# SPDX-License-Identifier: Apache-2.0
"""Mapped weights: the same network computes the same, a larger one too, a smaller one keeps what matters."""
from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import nn

from mcunas.space import space as spaces
from mcunas.space.genotype import Genotype
from mcunas.space.mapping import mapped, parent_of, shuffle

SPACE = {"stem": {"kernel": [3, 3], "channels": 4, "stride": [2, 2]},
         "options": ["mb3_e2", "mb5_e2", "mb3_e4", "ds3", "skip"],
         "stages": [{"channels": 6, "stride": 1, "slots": 1}, {"channels": 8, "stride": 2, "slots": 3}]}
PARENT = {"s0_0": "mb3_e2", "s1_0": "mb3_e2", "s1_1": "mb3_e2", "s1_2": "skip"}

IMAGES = torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(1))


def genotype(changes: Mapping[str, str] | None = None, widths: Mapping[str, int] | None = None, head: str = "boxes",
             size: int = 32) -> Genotype:
    described = {**SPACE, "head": head}
    return spaces.load("boxes", described, (size, size, 1), 3).genotype({**PARENT, **(changes or {})}, widths)


@pytest.fixture(scope="module")
def parent() -> nn.Module:
    """With batch norms that have seen something."""
    torch.manual_seed(0)
    net = genotype().build_dense()
    with torch.no_grad():
        for m in net.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.momentum = None
                m.weight.uniform_(0.5, 1.5)
                m.bias.normal_(0, 0.3)
        net.train()(torch.randn(32, 1, 32, 32))
        assert net.eval()(IMAGES).std(0).mean() > 0.05
    return net


@pytest.mark.parametrize(("changes", "widths"), [
    ({}, {}), ({}, {"s0": 9}), ({}, {"s1": 13}), ({"s1_1": "mb3_e4"}, {}), ({"s0_0": "mb5_e2", "s1_1": "mb5_e2"}, {}),
    ({"s1_2": "mb3_e2"}, {}), ({"s1_0": "mb3_e4", "s1_1": "mb5_e2", "s1_2": "mb3_e4"}, {"s0": 7, "s1": 12})],
    ids=["same", "wider", "wider at the head", "expanded", "larger kernels", "deeper", "all at once"])
def test_a_network_at_least_as_large_computes_the_same(parent: nn.Module, changes: dict, widths: dict) -> None:
    child = mapped(parent, genotype(), genotype(changes, widths)).eval()
    assert torch.allclose(child(IMAGES), parent(IMAGES), atol=1e-4)


def test_a_narrower_network_keeps_the_channels_that_are_read(parent: nn.Module) -> None:
    """Leaving out channels of a stage, of a bottleneck in it and of the head that nobody reads changes nothing."""
    net = genotype().build_dense()
    net.load_state_dict(parent.state_dict())
    net.eval()
    silent = [1, 4, 6]
    with torch.no_grad():
        net.slots["s1_1"].widen[1].weight[:, silent] = 0
        net.slots["s1_1"].narrow[1].weight[:, [0, 3, 5, 8, 9, 15]] = 0
        net.head.block.pointwise[1].weight[:, silent] = 0
        net.head.out.weight[:, [0, 2, 7]] = 0
    child = mapped(net, genotype(), genotype(widths={"s1": 5})).eval()
    assert torch.allclose(child(IMAGES), net(IMAGES), atol=1e-4)


def test_a_shuffled_parent_keeps_scales_and_statistics_only(parent: nn.Module) -> None:
    other = genotype().build_dense()
    other.load_state_dict(parent.state_dict())
    shuffle(other, 3)
    for (name, a), b in zip(parent.state_dict().items(), other.state_dict().values()):
        is_weight = a.dim() == 4
        assert torch.equal(a.flatten().sort().values, b.flatten().sort().values)
        assert torch.equal(a, b) != (is_weight and a.numel() > 8), name


def test_a_classifier_gives_its_backbone_to_a_detector_of_another_kind() -> None:
    source = genotype(head="classes", size=48)
    net = source.build_dense().eval()
    detector = genotype({"s1_1": "ds3", "s0_0": "ds3"}, {"s1": 10}, size=64)
    found = parent_of(source, net)(detector).eval()
    assert found(torch.zeros(1, 1, 64, 64)).shape == (1, 7, 16, 16)
    assert torch.equal(found.stem[1].weight, net.stem[1].weight)
    again = parent_of(source, net)(detector)
    assert all(torch.equal(a, b) for a, b in zip(found.state_dict().values(), again.state_dict().values()))


def test_a_separable_block_becomes_an_equal_bottleneck() -> None:
    """Behind a ReLU, and up to the ReLU that a bottleneck does not end with."""
    torch.manual_seed(2)
    source = genotype({"s0_0": "ds3", "s1_0": "ds3"})
    net = source.build_dense().eval()
    child = mapped(net, source, genotype({"s0_0": "mb3_e2", "s1_0": "ds3"})).eval()
    seen = net.stem(IMAGES)
    assert torch.allclose(child.slots["s0_0"](seen).relu(), net.slots["s0_0"](seen), atol=1e-4)
