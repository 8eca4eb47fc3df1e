# SPDX-License-Identifier: Apache-2.0
"""The nets that tasks begin with: what they give, and that pruning finds widths in them."""
from __future__ import annotations

import pytest
import torch

from mcunas.prune.groups import find_groups
from mcunas.space import Genotype
from mcunas.space.genotype import STARTS

GIVES = {"residual": (2, 10), "separable": (2, 10), "plain": (2, 10), "detector": (2, 14, 4, 4), "upscaler": (2, 10, 64, 64)}

OPTIONS = {"separable": {"widths": [8, 12, 16], "strides": [[2, 2], [1, 1]], "stem_kernel": [3, 3], "stem_stride": [2, 2]}}


@pytest.mark.parametrize("start", STARTS)
def test_a_start_net_gives_what_its_task_reads_and_can_be_pruned(start: str) -> None:
    net = Genotype(start, OPTIONS.get(start, {}), (32, 32, 1), 10).build_dense().eval()
    assert net(torch.zeros(2, 1, 32, 32)).shape == GIVES[start]
    groups = find_groups(net, torch.zeros(1, 1, 32, 32)).groups
    assert len(groups) >= 2 and all(group.channels > 1 for group in groups)
