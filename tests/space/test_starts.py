# SPDX-License-Identifier: Apache-2.0
"""Starting nets on every task's input: they can be lowered, grouped and priced, and deploy no padding of their own."""
from __future__ import annotations

import pytest
import torch

from mcunas.errors import InputError
from mcunas.graph.from_torch import from_torch
from mcunas.graph.torch_lower import lower
from mcunas.prune.groups import find_groups
from mcunas.prune.skeleton import skeleton_of
from mcunas.space import Genotype

IMAGE, SPEECH, MOTION = (28, 28, 1), (49, 10, 1), (128, 1, 6)
NETS = [
    ("residual", {"stem": 8, "widths": [8, 8, 8], "strides": [2, 2, 2]}, IMAGE, 7),
    ("residual", {"widths": [8, 8, 8]}, (16, 16, 1), 6),
    ("separable", {"widths": [8, 8, 8], "strides": [[1, 1], [2, 2]], "stem_kernel": [10, 4], "stem_stride": [2, 2]},
     SPEECH, 3),
    ("separable", {"widths": [8, 8], "strides": [[2, 1]], "stem_kernel": [9, 1], "stem_stride": [2, 1], "kernel": [9, 1]},
     MOTION, 2),
    ("plain", {"stages": [[8, 8], [8]], "hidden": 8}, IMAGE, 4),
]


@pytest.mark.parametrize(("start", "options", "shape", "groups"), NETS)
def test_a_start_can_be_pruned_and_deployed_without_padding(start: str, options: dict, shape: tuple, groups: int) -> None:
    net, example = Genotype(start, options, shape, 5, {}).build_dense().eval(), torch.zeros(1, shape[2], *shape[:2])
    channels = find_groups(net, example)
    skeleton_of(lower(net, example), channels)
    graph = from_torch(net, torch.randn(4, shape[2], *shape[:2]))
    assert len(channels.groups) == groups
    assert graph.tensors[graph.outputs[0]].shape == (1, 5) and graph.tensors[graph.inputs[0]].shape == (1, *shape)
    assert "PAD" not in {op.kind for op in graph.ops}


@pytest.mark.parametrize(("start", "gives", "groups"), [("detector", (2, 9, 4, 6), 7), ("upscaler", (2, 5, 64, 96), 4)])
def test_starts_of_boxes_and_pixels_too(start: str, gives: tuple, groups: int) -> None:
    net, images = Genotype(start, {}, (32, 48, 1), 5, {}).build_dense().eval(), torch.zeros(2, 1, 32, 48)
    channels = find_groups(net, images[:1])
    skeleton_of(lower(net, images[:1]), channels)
    assert net(images).shape == gives and len(channels.groups) == groups


def test_options_that_a_start_does_not_know_are_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="residual: it cannot be built with options .*'depth'"):
        Genotype("residual", {"depth": 3}, IMAGE, 10, {}).build_dense()
