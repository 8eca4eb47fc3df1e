# SPDX-License-Identifier: Apache-2.0
"""int4 weights where the flash asks for them: what layers lose, which are chosen, and what is handed over."""
from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mcunas import tasks
from mcunas.board import Board
from mcunas.errors import DoesNotFit, InputError
from mcunas.graph import read_tflite, write_tflite
from mcunas.quantize.bit_search import by_gradient
from mcunas.quantize.choose import Precision
from mcunas.quantize.model import run_tflite
from mcunas.quantize.precision import Layer, allocate, flash_of, layers_of
from mcunas.quantize.qat import FakeQuantized
from mcunas.quantize.sensitivity import by_loss, hessian_traces
from mcunas.space.int4 import best_magnitude, perturbed

BOARD = Board.load("mps2-an386")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.deep = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.wide, self.head = nn.Conv2d(16, 96, 3, stride=2, padding=(0, 0)), nn.Linear(96, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(F.relu(self.wide(F.relu(self.deep(F.relu(self.first(x)))))).mean((2, 3)))


def quantized(bits: dict[str, int]) -> tuple[FakeQuantized, tasks.Task]:
    torch.manual_seed(0)
    task = tasks.load("digits")
    images = torch.from_numpy(task.real(task.train.images[:64]))
    return FakeQuantized(Net().eval(), images, task.input_quant, bits=bits), task


@pytest.fixture(scope="module")
def priced() -> tuple:
    found, _ = quantized({})
    names = {found.lowered.graph.tensors[w].name: path for w, (path, _) in found.lowered.weight_of.items()}
    graph = found.export()
    return graph, layers_of(graph, BOARD, names)


def test_the_trace_of_the_hessian_is_that_of_the_hessian() -> None:
    """Of a loss whose Hessian is diagonal any signs give the trace; of others, the mean over signs."""
    torch.manual_seed(0)
    net, curvature = nn.Sequential(nn.Linear(3, 2, bias=False)), torch.rand(3, 2)
    found = hessian_traces(net, ["0"], torch.eye(3), curvature, seed=0, probes=1,
                           loss=lambda outputs, labels: (labels * outputs ** 2).sum() / 2)
    assert found == [pytest.approx(float(curvature.sum()), rel=1e-5)]
    x, labels, weight = torch.randn(64, 3), torch.randint(0, 2, (64,)), net[0].weight
    found = hessian_traces(net, ["0"], x, labels, seed=0, probes=200)
    exact = torch.autograd.functional.hessian(lambda w: F.cross_entropy(x @ w.T, labels), weight.detach())
    assert found[0] == pytest.approx(float(exact.reshape(6, 6).trace()), rel=0.2)


def test_the_scale_of_int4_weights_loses_least() -> None:
    torch.manual_seed(0)
    weight = torch.randn(4, 30)
    assert best_magnitude(weight, one_for_all=False).shape == (4,) and best_magnitude(weight, one_for_all=True).shape == (1,)
    step = weight.abs().amax(1, keepdim=True) / 7
    largest = (weight / step).round() * step
    assert ((perturbed(weight, False) - weight) ** 2).sum() < ((largest - weight) ** 2).sum()


def test_the_layer_that_matters_loses_most() -> None:
    torch.manual_seed(0)
    net, (x, labels) = Net(), (torch.randn(64, 1, 8, 8), torch.randint(0, 10, (64,)))
    with torch.no_grad():
        net.head.weight *= 30
        net.deep.weight *= 0.001
    rises = dict(zip(("deep", "head"), by_loss(net, ("deep", "head"), x, labels)))
    assert abs(rises["head"]) > 10 * abs(rises["deep"])


def test_the_least_loss_that_fits_is_chosen(priced) -> None:
    """Against every choice there is."""
    graph, layers = priced
    loss = [3.0, 1.0, 4.0, 2.0]
    every = []
    for choice in product((8, 4), repeat=len(layers)):
        bits = {layer.path: b for layer, b in zip(layers, choice)}
        every.append((flash_of(graph, BOARD, layers, bits), sum(v for v, b in zip(loss, choice) if b == 4)))
    assert len(layers) == 4 and min(every)[0] < every[0][0]
    for limit in (every[0][0], every[0][0] - 1, sorted(every)[2][0], min(every)[0]):
        bits = allocate(graph, BOARD, layers, loss, limit)
        taken = sum(v for v, layer in zip(loss, layers) if bits[layer.path] == 4)
        assert flash_of(graph, BOARD, layers, bits) <= limit
        assert taken == min(lost for flash, lost in every if flash <= limit)
    with pytest.raises(DoesNotFit, match="int4"):
        allocate(graph, BOARD, layers, loss, min(every)[0] - 1)


def test_int4_weights_halve_their_tables(priced) -> None:
    _, layers = priced
    wide: Layer = next(layer for layer in layers if layer.path == "wide")
    assert wide.table_bytes[8] - wide.table_bytes[4] == 96 * 16 * 9 // 2
    assert wide.kernels == {8: {"mn_conv_s8_dsp"}, 4: {"mn_conv_s4_dsp"}}


def test_int4_weights_are_handed_over_as_training_saw_them() -> None:
    """Within one step of the fake-quantized network on 99 % of the outputs, by TFLite Micro."""
    found, task = quantized({"wide": 4, "head": 4, "deep": 4})
    graph = read_tflite(write_tflite(found.export()))
    kinds = {op.kind: graph.tensors[op.inputs[1]].dtype for op in graph.ops if len(op.inputs) == 3}
    assert kinds == {"CONV_2D": "int4", "DEPTHWISE_CONV_2D": "int4", "FULLY_CONNECTED": "int4"}
    images = task.test.images[:80]
    scale, zero_point = graph.tensors[graph.outputs[0]].quant.per_tensor
    with torch.no_grad():
        fake = found.module.eval()(torch.from_numpy(task.real(images))).numpy()
    expected = np.clip(np.rint(fake / scale) + zero_point, -128, 127).astype(int)
    assert (np.abs(expected - run_tflite(graph, images).astype(int)) <= 1).mean() >= 0.99


def test_bits_by_gradient_keep_int8_where_it_is_needed(priced) -> None:
    _, layers = priced
    found, task = quantized({})
    x, labels = torch.from_numpy(task.real(task.train.images[:64])), torch.from_numpy(task.train.labels[:64]).long()
    losses = by_gradient(found, layers, sum(layer.table_bytes[4] for layer in layers), [[(x, labels)] * 6], 1e-3)
    assert set(losses) == {layer.path for layer in layers} and min(losses, key=losses.get) == "wide"


def test_a_precision_that_is_not_known_is_refused() -> None:
    with pytest.raises(InputError, match="int2"):
        Precision("int2")
    assert Precision().words() == "" and Precision("auto").words() != Precision("auto", flash_bytes=9).words()
