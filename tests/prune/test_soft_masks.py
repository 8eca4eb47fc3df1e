# SPDX-License-Identifier: Apache-2.0
"""Soft masks prune what slicing would remove, let pruned weights learn, and count what comes back."""
from __future__ import annotations

import pytest
import torch

from mcunas.prune.groups import find_groups
from mcunas.prune.slicing import slice_channels
from mcunas.prune.soft_masks import MOMENTUM, SoftMasks
from tests.prune.nets import EXAMPLE, Concatenated, Separable, residual, settled


def _masked(make, variant: str = "soft") -> tuple[torch.nn.Module, SoftMasks, tuple[int, ...]]:
    torch.manual_seed(0)
    net = settled(make())
    masks = SoftMasks(net, find_groups(net, EXAMPLE), variant)
    masks.score = [torch.rand(len(s)) for s in masks.score]
    counts = tuple(max(1, len(s) // 2) for s in masks.score)
    masks.keep(counts)
    return net, masks, counts


@pytest.mark.parametrize("make", [residual, Separable, Concatenated])
def test_masked_inputs_are_removed_channels(make) -> None:
    net, masks, counts = _masked(make)
    images = torch.randn(5, 1, 8, 8)
    with torch.no_grad():
        masked = masks.forward(images)
        slice_channels(net, masks.channels, [torch.nonzero(k).flatten() for k in masks.kept])
        assert (masked - net(images)).abs().max() < 1e-5


@pytest.mark.parametrize(("variant", "learns"), [("soft", True), ("hard", False), ("permanent", False)])
def test_pruned_weights_learn_in_the_soft_variant_only(variant: str, learns: bool) -> None:
    net, masks, _ = _masked(residual, variant)
    masks.forward(torch.randn(4, 1, 8, 8)).square().sum().backward()
    gradient = net.stages[0].conv1.weight.grad[:, masks.kept[0] == 0]
    assert bool((gradient != 0).any()) is learns
    before = [s.clone() for s in masks.score]
    masks.observe()
    assert all((s[k == 0] != b[k == 0]).any() for s, b, k in zip(masks.score, before, masks.kept))     # scored all the same


def test_the_score_is_the_first_order_change_of_the_loss_summed_over_consumers() -> None:
    net, masks, _ = _masked(residual)
    masks.kept, masks.score = [torch.ones(len(k)) for k in masks.kept], [torch.zeros(len(k)) for k in masks.kept]
    images, stem = torch.randn(4, 1, 8, 8), 0
    masks.forward(images).square().sum().backward()
    consumers = [net.stages[0].conv1, net.stages[1].conv1, net.stages[1].shortcut[0]]
    change = sum(-(m.weight * m.weight.grad).sum((0, 2, 3)) for m in consumers)
    masks.observe()
    assert torch.allclose(masks.score[stem], (1 - MOMENTUM) * change.abs(), rtol=1e-4)


def test_channels_that_return_are_counted_and_permanent_ones_do_not() -> None:
    for variant, returned in (("soft", 1), ("permanent", 0)):
        _, masks, _ = _masked(residual, variant)
        masks.kept = [torch.tensor([1.0, 1, 1, 0, 0, 0]), *(torch.ones(len(k)) for k in masks.kept[1:])]
        masks.score[0] = torch.tensor([0.5, 0.1, 0.2, 0.9, 0.4, 0.0])      # 0.9 is better than 0.1 by the margin, 0.4 is not
        assert masks.keep((3, *(len(k) for k in masks.kept[1:]))) == returned


def test_weights_that_grew_unseen_return_with_the_norm_of_the_others() -> None:
    net, masks, _ = _masked(residual)
    masks.kept = [torch.tensor([1.0, 1, 1, 0, 0, 0]), *(torch.ones(len(k)) for k in masks.kept[1:])]
    masks.score[0] = torch.tensor([1.0, 1, 0, 9, 0, 0])
    weight = net.stages[0].conv1.weight
    with torch.no_grad():
        weight[:, 3] *= 100
    before = weight.detach().clone()
    masks.keep((3, *(len(k) for k in masks.kept[1:])))
    norms = weight.detach().transpose(0, 1).flatten(1).norm(dim=1)
    assert norms[3] == pytest.approx(float(norms[:2].mean()), rel=1e-4)
    assert torch.equal(weight[:, [0, 1, 2, 4, 5]], before[:, [0, 1, 2, 4, 5]])

