# SPDX-License-Identifier: Apache-2.0
"""Small networks of the kinds that run on microcontrollers, as torch users write them, and their export to ONNX."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn


class _Residual(nn.Module):
    """A block of ResNet-8; a 1x1 convolution on the shortcut where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
                                  nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 or inputs != outputs else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class _Bottleneck(nn.Module):
    """An inverted bottleneck of MobileNetV2."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        wide = 4 * inputs
        self.body = nn.Sequential(nn.Conv2d(inputs, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6(),
                                  nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), nn.BatchNorm2d(wide),
                                  nn.ReLU6(), nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x) if self.adds else self.body(x)


def _separable(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs), nn.BatchNorm2d(inputs), nn.ReLU(),
            nn.Conv2d(inputs, outputs, 1), nn.BatchNorm2d(outputs), nn.ReLU()]


def _pooled(channels: int, classes: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]


def ds_cnn() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 16, (10, 4), 2, (5, 1)), nn.BatchNorm2d(16), nn.ReLU(), *_separable(16, 16),
                         *_separable(16, 24, 2), *_pooled(24, 12), nn.Softmax(1))


def mobilenet_v2() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU6(), _Bottleneck(8, 8, 1), _Bottleneck(8, 12, 2),
                         _Bottleneck(12, 12, 1), *_pooled(12, 2))


def resnet8() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU(), _Residual(8, 8, 1), _Residual(8, 16, 2),
                         _Residual(16, 32, 2), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(128, 10))


def autoencoder() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 8), nn.ReLU(), nn.Linear(8, 32),
                         nn.ReLU(), nn.Linear(32, 64))


def conv1d() -> nn.Module:
    return nn.Sequential(nn.Conv1d(6, 16, 5, padding=2), nn.BatchNorm1d(16), nn.ReLU(), nn.MaxPool1d(2),
                         nn.Conv1d(16, 24, 5, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(24 * 16, 5))


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "ds-cnn": (ds_cnn, (1, 49, 10)), "mobilenet-v2": (mobilenet_v2, (3, 48, 48)), "resnet-8": (resnet8, (3, 32, 32)),
    "autoencoder": (autoencoder, (64,)), "conv1d": (conv1d, (6, 64)),
}


def export(net: nn.Module, shape: tuple[int, ...], path: Path, free_batch: bool = False) -> None:
    """Write an .onnx; with `free_batch` its batch size is open."""
    from torch.onnx._internal.torchscript_exporter import onnx_proto_utils

    onnx_proto_utils._add_onnxscript_fn = lambda content, _: content     # only that step would need the package onnx
    axes = {"dynamic_axes": {"x": {0: "batch"}}} if free_batch else {}
    torch.onnx.export(net.eval(), torch.zeros(1, *shape), str(path), dynamo=False, input_names=["x"], output_names=["y"],
                      **axes)
