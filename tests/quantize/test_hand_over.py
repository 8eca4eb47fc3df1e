# SPDX-License-Identifier: Apache-2.0
"""From a float network to int8 without losing what training with quantization in the loop has learned."""
from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mcunas import tasks
from mcunas.quantize.fold import fold
from mcunas.quantize.model import run_tflite
from mcunas.quantize.qat import FakeQuantized
from mcunas.space.residual import ResidualNet
from tests.prune.nets import EXAMPLE, Concatenated, Separable, residual, settled


@pytest.mark.parametrize("make", [residual, Separable, Concatenated])
def test_folding_batch_norm_changes_nothing(make) -> None:
    torch.manual_seed(0)
    net = settled(make())
    folded = fold(net, EXAMPLE)
    images = torch.randn(4, 1, 8, 8)
    with torch.no_grad():
        assert (net(images) - folded(images)).abs().max() < 1e-5


@pytest.fixture(scope="module")
def trained() -> tuple[FakeQuantized, tasks.Task]:
    """A few steps of ordinary training and of training with fake quantization on real digits."""
    torch.manual_seed(0)
    task = tasks.load("digits")
    images = torch.from_numpy(task.real(task.train.images))
    labels = torch.from_numpy(task.train.labels)
    net = ResidualNet(1, 10, (4, 8, 12))
    _descend(net.train(), images, labels, torch.optim.Adam(net.parameters(), 0.01), 100)
    quantized = FakeQuantized(net.eval(), images[:128], task.input_quant)
    weights, ranges = quantized.parameters()
    _descend(quantized.module, images, labels, torch.optim.Adam([*weights, *ranges], 0.002), 15)
    return quantized, task


def _descend(net: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, optimizer: torch.optim.Optimizer,
             steps: int) -> None:
    for step in range(steps):
        part = slice(step * 32 % 1024, step * 32 % 1024 + 32)
        optimizer.zero_grad()
        F.cross_entropy(net(images[part]), labels[part]).backward()
        optimizer.step()


def test_the_int8_graph_answers_what_the_fake_quantized_network_answers(trained) -> None:
    """On the real test images: in evaluation mode it rounds as TFLite does, so next to nothing differs."""
    quantized, task = trained
    expected, found = _answers(quantized, torch.from_numpy(task.real(task.test.images)), task.test.images)
    assert (expected.argmax(1) == found.argmax(1)).all()
    assert (expected == found).mean() >= 0.995
    assert np.abs(expected - found).max() <= 1


def _answers(quantized: FakeQuantized, real: torch.Tensor, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(of the trained network on real (N, C, H, W), of TFLite Micro on int8 images (N, H, W, C)), in steps of the output."""
    graph = quantized.export()
    scale, zero_point = graph.tensors[graph.outputs[0]].quant.per_tensor
    with torch.no_grad():
        fake = quantized.module.eval()(real).numpy()
    return np.clip(np.rint(fake / scale) + zero_point, -128, 127).astype(int), run_tflite(graph, images).astype(int)


class Pooled(torch.nn.Module):
    """An average pool with windows over the border's zeros left out, a depthwise and an upsampling convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(1, 6, 3, padding=1), torch.nn.ReLU(), torch.nn.AvgPool2d(2),
            torch.nn.Conv2d(6, 6, 3, padding=1, groups=6), torch.nn.ReLU6(),
            torch.nn.ConvTranspose2d(6, 8, 2, stride=2), torch.nn.ReLU())
        self.head = torch.nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(x).mean((2, 3)))


@pytest.mark.parametrize("make", [residual, Separable, Concatenated, Pooled])
def test_other_layers_round_alike(make) -> None:
    torch.manual_seed(0)
    quantized = FakeQuantized(settled(make()), torch.rand(64, 1, 8, 8), (1 / 255, -128))
    images = np.random.default_rng(1).integers(-128, 128, (200, 8, 8, 1)).astype(np.int8)
    real = torch.from_numpy((images.astype(np.float32) + 128) / 255).permute(0, 3, 1, 2)
    expected, found = _answers(quantized, real, images)
    assert (expected == found).mean() >= 0.99 and np.abs(expected - found).max() <= 1


def test_the_learned_scales_are_in_the_graph_and_are_not_the_calibrated_ones(trained) -> None:
    quantized, task = trained
    graph = quantized.export()
    from mcunas.quantize.nncf_ranges import activation_quant

    learned = {activation_quant(q) for q in quantized.quantizers.values()}
    used = {graph.tensors[t].quant.per_tensor for t in graph.activations() if t not in graph.inputs}
    assert {(np.float32(s), z) for s, z in used} <= {(np.float32(s), z) for s, z in learned}
    assert graph.tensors[graph.inputs[0]].quant.per_tensor == task.input_quant
    again = FakeQuantized(_unquantized(quantized), torch.from_numpy(task.real(task.train.images[:128])), task.input_quant)
    calibrated = {activation_quant(q) for q in again.quantizers.values()}
    assert len(used & calibrated) < len(used) / 2


def _unquantized(quantized: FakeQuantized) -> torch.nn.Module:
    return quantized.folded.eval()


def test_nncf_places_a_quantizer_on_every_edge_but_the_logits(trained) -> None:
    quantized, _ = trained
    missing = set(quantized.lowered.node_of.values()) - set(quantized.from_nncf)
    assert missing == {"head"}


def test_tensors_that_tflite_ties_share_one_quantizer() -> None:
    torch.manual_seed(0)
    quantized = FakeQuantized(settled(Concatenated()), torch.rand(32, 1, 8, 8), (1 / 255, -128))
    graph = quantized.export()                          # verify() inside demands equal scales
    concatenation = next(op for op in graph.ops if op.kind == "CONCATENATION")
    quants = {graph.tensors[t].quant.per_tensor for t in (*concatenation.inputs, *concatenation.outputs)}
    assert len(quants) == 1


def test_what_a_relu_gives_begins_at_the_least_byte(trained) -> None:
    """However its range is learned: its kernel needs no limit then, as the search's prices have it."""
    graph = trained[0].export()
    found = [graph.tensors[op.outputs[0]].quant.zero_point for op in graph.ops if op.attrs.get("activation") == "RELU"]
    assert len(found) >= 3 and all(zero_point == -128 for zero_point in found)
