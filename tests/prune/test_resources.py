# SPDX-License-Identifier: Apache-2.0
"""The differentiable resources are the compiler's own numbers, and their slopes lead to the right neighbours."""
from __future__ import annotations

import pytest
import torch

from mcunas.board import Board
from mcunas.compiler import plan
from mcunas.compiler.schedule import Schedule
from mcunas.cost import estimate
from mcunas.graph.torch_lower import lower
from mcunas.prune.groups import find_groups
from mcunas.prune.resources import Resources
from mcunas.prune.skeleton import skeleton_of
from tests.prune.nets import EXAMPLE, Concatenated, Separable, Strided, residual, settled


def _resources(net: torch.nn.Module) -> Resources:
    net = settled(net)
    return Resources(skeleton_of(lower(net, EXAMPLE), find_groups(net, EXAMPLE)), Board.load("mps2-an386"))


@pytest.mark.parametrize("make", [residual, Separable, Concatenated, Strided])
def test_the_skeleton_at_any_widths_costs_what_the_network_of_these_widths_costs(make) -> None:
    resources = _resources(make())
    widths = [max(1, w - 2) for w in resources.skeleton.full]
    graph, usage = resources.skeleton.at(widths), resources.exact(widths)
    cost, planned = estimate(graph, resources.board, rewrite=False), plan(graph, resources.board.isa)
    assert usage.ram_bytes == cost.ram_bytes == planned.arena_bytes
    steps = planned.schedule.steps
    assert all(usage.live_bytes[op] == step.live_bytes for step in steps for op in step.ops)
    assert usage.flash_bytes == cost.flash_bytes
    assert usage.latency_us == pytest.approx(cost.latency_us)


def test_the_skeleton_has_no_paddings_that_the_compiler_takes_away() -> None:
    torch.manual_seed(0)        # with some weights the compiler finds channels that are dead
    resources = _resources(Strided())
    deployed = estimate(resources.skeleton.graph, resources.board)
    usage = resources.exact(resources.skeleton.full)
    assert "PAD" not in {op.kind for op in resources.skeleton.graph.ops}
    assert (usage.ram_bytes, usage.flash_bytes) == (deployed.ram_bytes, deployed.flash_bytes)


@pytest.mark.parametrize("make", [residual, Separable, Concatenated, Strided])
def test_the_soft_resources_equal_the_exact_ones_where_refreshed(make) -> None:
    resources = _resources(make())
    widths = [max(1, w - 1) for w in resources.skeleton.full]
    usage = resources.refresh(widths)
    live, flash, latency = resources.soft(torch.tensor(widths, dtype=torch.float32))
    assert live.tolist() == pytest.approx(list(usage.live_bytes))
    assert float(flash) == pytest.approx(usage.flash_bytes, rel=1e-5)
    assert float(latency) == pytest.approx(usage.latency_us, rel=1e-5)


def test_the_slope_of_ram_leads_to_wider_networks_where_the_schedule_stays() -> None:
    """Exactly, but for what overlapping saves, which is a minimum of two slopes: a few percent."""
    resources = _resources(residual())
    widths, compared = (8, 8, 8, 8, 8, 8), 0
    resources.refresh(widths)
    steps = [step.ops for step in Schedule.of(resources.skeleton.at(widths), resources.board.isa).steps]
    for group in range(6):
        more = [w + 8 * (i == group) for i, w in enumerate(widths)]
        if [step.ops for step in Schedule.of(resources.skeleton.at(more), resources.board.isa).steps] == steps:
            live, _, _ = resources.soft(torch.tensor(more, dtype=torch.float32))
            assert live.tolist() == pytest.approx(list(resources.bound(more).live_bytes), rel=0.15)
            compared += 1
    assert compared >= 2
