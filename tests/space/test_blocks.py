# SPDX-License-Identifier: Apache-2.0
"""Every block lowers without padding of its own, says in int8 what torch says, and refuses where it cannot stand."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mcunas.errors import InputError
from mcunas.graph.from_torch import from_torch
from mcunas.graph.oracle import Oracle
from mcunas.quantize.fold import fold
from mcunas.space import blocks
from mcunas.space.blocks import BLOCKS, Context, build, find, refusal
from mcunas.space.blocks.collapsible import collapsed

find("skip")        # fills the table
CONTEXTS = {"image": Context((8, 8), 4, 4), "strided": Context((8, 8), 4, 6, 2), "odd": Context((7, 9), 4, 6, 2),
            "series": Context((16, 1), 4, 6, 2)}


def settled(net: nn.Module, x: torch.Tensor) -> nn.Module:
    """Evaluation mode, with statistics of x, so that int8 has ranges to keep."""
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.momentum = None
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.uniform_(m.bias, -0.5, 0.5)
    net.train()(x)
    return net.eval()


# all of them once, one of each family everywhere
CASES = [(n, "image") for n in sorted(BLOCKS)] + [(n, where) for where in ("strided", "odd", "series") for n in
                                                  ("conv3x3", "ds5", "mb3_e2", "ghost", "skip")]


@pytest.mark.parametrize(("name", "where"), CASES)
def test_a_block_deploys_without_padding_and_keeps_its_answer(name: str, where: str) -> None:
    context = CONTEXTS[where]
    if refusal(name, context):
        with pytest.raises(InputError, match="cannot stand here"):
            build(name, context)
        return
    torch.manual_seed(1)
    x = torch.rand(16, context.inputs, *context.size)
    block = settled(nn.Sequential(build(name, context), nn.ReLU()), x)
    with torch.no_grad():
        wanted = block(x).permute(0, 2, 3, 1).numpy()
        net = collapsed(block)
        np.testing.assert_allclose(net(x).permute(0, 2, 3, 1), wanted, rtol=1e-4, atol=1e-5)
    graph = from_torch(fold(net, x[:1]), x, (1 / 255, -128))
    assert "PAD" not in {op.kind for op in graph.ops}
    assert wanted.shape[1:] == (*context.out_size, context.outputs)
    quant, oracle = graph.tensors[graph.outputs[0]].quant, Oracle(graph)
    q = (np.rint(x.permute(0, 2, 3, 1).numpy() * 255) - 128).clip(-128, 127).astype(np.int8)
    found = np.concatenate([oracle.outputs([one[None]])[0] for one in q[:4]])
    real = (found.astype(float) - quant.zero_point[0]) * quant.scale[0]
    assert np.abs(real - wanted[:4]).max() < 0.06 * max(wanted.max(), 1)


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_only_a_block_with_a_width_inside_takes_one(name: str) -> None:
    context = CONTEXTS["image"]
    if BLOCKS[name].inner is None:
        with pytest.raises(InputError, match="no inner width|cannot stand"):
            build(name, Context((8, 8), 4, 4), inner=5)
    else:
        narrow = build(name, Context((8, 8), 4, 4), inner=5)
        assert narrow.widen[1].out_channels == 5 < BLOCKS[name].inner(context)


def test_a_mask_is_a_narrower_block() -> None:
    context = CONTEXTS["image"]
    wide, narrow = (build("mb3_e3", context, n).eval() for n in (12, 5))
    with torch.no_grad():
        for small, large in zip(narrow.parameters(), wide.parameters()):
            small.copy_(large[tuple(slice(n) for n in small.shape)])
        x = torch.rand(2, 4, 8, 8)
        torch.testing.assert_close(wide.masked(x, (torch.arange(12) < 5).float()), narrow(x))


def test_an_unknown_block_is_answered_with_those_that_exist() -> None:
    with pytest.raises(InputError, match="unknown block 'conv9x9'; .*conv"):
        blocks.build("conv9x9", CONTEXTS["image"])
