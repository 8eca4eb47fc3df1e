# SPDX-License-Identifier: Apache-2.0
"""torch modules as int8 Graphs: TFLite Micro on the written file answers what torch answers, within quantization."""
from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mcunas.errors import InputError
from mcunas.graph.from_torch import from_torch
from mcunas.quantize.model import run_tflite
from tests.prune.nets import Concatenated, Separable, residual, settled


class Apply(nn.Module):
    """A convolution, then a function; so that a layer test is one line."""

    def __init__(self, function, channels: int = 8, tail: nn.Module | None = None, **options) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 3, **{"padding": 1, **options})
        self.function, self.tail = function, tail or nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.tail(self.function(self.conv(x)))


def _plus_scaled(x: torch.Tensor) -> torch.Tensor:
    return F.relu(x * 0.5 - 0.1) + x


LAYERS = {
    "relu6": Apply(F.relu6), "hardswish": Apply(F.hardswish), "leaky": Apply(lambda x: F.leaky_relu(x, 0.2)),
    "sigmoid": Apply(torch.sigmoid), "tanh": Apply(torch.tanh), "gate": Apply(lambda x: x * torch.sigmoid(x)),
    "stride 2, symmetric": Apply(F.relu, stride=2), "dilated": Apply(F.relu, dilation=2, padding=2),
    "valid": Apply(F.relu, padding=0), "wide padding": Apply(F.relu, padding=2), "numbers": Apply(_plus_scaled),
    "maximum": Apply(lambda x: torch.maximum(x, x * x)), "branch": Apply(lambda x: torch.cat([x, F.relu(x)], 1)),
    "max pool": Apply(F.relu, tail=nn.MaxPool2d(2)), "max pool, same": Apply(F.relu, tail=nn.MaxPool2d(3, 1, 1)),
    "max pool, zeros": Apply(F.relu, tail=nn.MaxPool2d(3, 2, 1)),
    "average pool": Apply(F.relu, tail=nn.AvgPool2d(2)), "adaptive": Apply(F.relu, tail=nn.AdaptiveAvgPool2d(2)),
    "mean": Apply(lambda x: x.mean((2, 3))), "mean kept": Apply(F.relu, tail=nn.AdaptiveAvgPool2d(1)),
    "nearest": Apply(F.relu, tail=nn.Upsample(scale_factor=2)),
    "bilinear": Apply(F.relu, tail=nn.Upsample(scale_factor=2, mode="bilinear")),
    "aligned": Apply(F.relu, tail=nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)),
    "pixel shuffle": Apply(F.relu, tail=nn.PixelShuffle(2)),
    "transposed": Apply(F.relu, tail=nn.ConvTranspose2d(8, 4, 2, 2)),
    "transposed, same": Apply(F.relu, tail=nn.ConvTranspose2d(8, 4, 4, 2, padding=1)),
    "flatten": Apply(F.relu, tail=nn.Sequential(nn.Flatten(), nn.Linear(8 * 64, 5), nn.ReLU(), nn.Linear(5, 4))),
    "view of sizes": Apply(lambda x: x.view(x.size(0), -1), tail=nn.Linear(512, 5)),
    "reshape by shape": Apply(lambda x: x.reshape(x.shape[0], x.shape[1] * 64), tail=nn.Linear(512, 5)),
    "view of numbers": Apply(lambda x: x.view(-1, 512), tail=nn.Linear(512, 5)),
    "softmax": Apply(lambda x: x.mean((2, 3)), tail=nn.Softmax(-1)),
    "padded pool": Apply(F.relu, tail=nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.AvgPool2d(3, 3))),
    "dropout keeps the batch norm foldable": Apply(nn.Dropout(), tail=nn.BatchNorm2d(8)),
}


def _agree(net: nn.Module, channels: int, worst_steps: float) -> None:
    torch.manual_seed(1)
    net = settled(net)
    images = torch.rand(24, channels, 8, 8)
    images = torch.round(images * 255) / 255                # on the int8 input's grid
    graph = from_torch(net, images, (float(np.float32(1 / 255)), -128))
    q = torch.round(images * 255).to(torch.int16).sub(128).to(torch.int8).permute(0, 2, 3, 1).numpy()
    out = graph.tensors[graph.outputs[0]]
    scale, zero_point = out.quant.per_tensor
    with torch.no_grad():
        expected = net(images)
    expected = (expected.permute(0, 2, 3, 1) if expected.dim() == 4 else expected).numpy()
    found = (run_tflite(graph, q).astype(np.float32) - zero_point) * scale
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() / scale <= worst_steps


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_survives_the_change_of_layout_and_type(name: str) -> None:
    torch.manual_seed(0)
    _agree(LAYERS[name], 3, worst_steps=4)


@pytest.mark.parametrize("make", [residual, Separable, Concatenated])
def test_a_network_survives_the_change_of_layout_and_type(make) -> None:
    torch.manual_seed(0)
    _agree(make(), 1, worst_steps=8)


def test_down_sampling_with_bottom_right_padding_needs_no_pad_op() -> None:
    graph = from_torch(settled(residual()), torch.rand(4, 1, 8, 8))
    assert "PAD" not in {op.kind for op in graph.ops}


def test_symmetric_padding_with_stride_2_becomes_an_explicit_pad() -> None:
    graph = from_torch(Apply(F.relu, stride=2), torch.rand(4, 3, 8, 8))
    assert [op.kind for op in graph.ops] == ["PAD", "CONV_2D"]


class Sequential(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)


@pytest.mark.parametrize(("layer", "what"), [
    (nn.GELU(), "GELU is not supported"), (nn.Conv2d(8, 8, 3, groups=2), "2 groups"),
    (nn.MaxPool2d(2, padding=1), "neither SAME nor VALID"), (nn.PReLU(), "PReLU is not supported"),
    (nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"), "padding_mode")])
def test_what_is_not_supported_is_named_with_its_place_and_a_way_out(layer: nn.Module, what: str) -> None:
    with pytest.raises(InputError, match=what) as error:
        from_torch(Sequential(layer), torch.rand(2, 3, 8, 8))
    assert str(error.value).startswith("module body.1: ") and error.value.fix
