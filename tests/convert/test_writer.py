# SPDX-License-Identifier: Apache-2.0
"""The writer against TensorFlow's converter: the same network with the same learned ranges gives the same integers.

TensorFlow gets it with fake quantization, the way of its own quantization-aware training. Skipped where it is not installed.
"""
from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mcunas.convert import bridge
from mcunas.errors import ToolMissing
from mcunas.graph import Graph, Quant, read_tflite, write_tflite
from mcunas.graph.from_torch import calibrate
from mcunas.graph.to_int8 import to_int8, weight_scales
from mcunas.graph.torch_lower import Lowered, lower

PROGRAM = Path(__file__).parent / "fake_quant.py"
SHARED = ("depthwise", "head")      # one scale for all channels, which is all that this way has for them


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.depthwise = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.point, self.pool, self.head = nn.Conv2d(8, 8, 1), nn.AvgPool2d(8), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        return self.head(torch.flatten(self.pool(self.point(torch.relu(self.depthwise(x))) + x), 1))


@pytest.fixture(scope="module")
def ours() -> tuple[Lowered, Graph]:
    """(the float network, its int8 Graph as read back from what the writer wrote)."""
    torch.manual_seed(0)
    lowered = lower(_Net(), torch.zeros(1, 3, 8, 8))
    quants = calibrate(lowered, torch.randn(32, 3, 8, 8))
    scales = {}
    for w, (layer, _) in lowered.weight_of.items():
        own = weight_scales(lowered.graph.tensors[w].data, 3 if layer == "depthwise" else 0)
        scales[layer] = np.full_like(own, own.max()) if layer in SHARED else own
    return lowered, read_tflite(write_tflite(to_int8(lowered, quants, scales)))


@pytest.fixture(scope="module")
def theirs(ours: tuple[Lowered, Graph], tmp_path_factory: pytest.TempPathFactory) -> Graph:
    try:
        python = bridge.interpreter()
    except ToolMissing:
        pytest.skip("TensorFlow is not installed; make test-import installs it")
    folder = tmp_path_factory.mktemp("tensorflow")
    np.savez(folder / "parts.npz", **parts(*ours))
    subprocess.run([python, str(PROGRAM), str(folder)], check=True, capture_output=True)
    return read_tflite(folder / "tensorflow.tflite")


def parts(lowered: Lowered, graph: Graph) -> dict[str, np.ndarray]:
    """Float weights in TensorFlow's order of axes, and every range that the int8 Graph's scales stand for."""
    found = {"shape": np.array(graph.tensors[graph.inputs[0]].shape)}
    names = ["first", "depthwise", "point", "add", "pool", "reshape", "head"]
    for name, op, real in zip(names, graph.ops, lowered.graph.ops):
        scale, zero_point = graph.tensors[op.outputs[0]].quant.per_tensor
        found[f"{name}_range"] = np.float32([scale * (-128 - zero_point), scale * (127 - zero_point)])
        if len(op.inputs) == 3:
            w, b = (lowered.graph.tensors[t].data for t in real.inputs[1:])
            order = {"depthwise": (1, 2, 3, 0), "head": (1, 0)}.get(name, (1, 2, 3, 0))
            scales = graph.tensors[op.inputs[1]].quant.scale[:1 if name in SHARED else None]
            found |= {f"{name}_w": w.transpose(order), f"{name}_b": b, f"{name}_low": -127 * scales,
                      f"{name}_high": 127 * scales}
    scale, zero_point = graph.tensors[graph.inputs[0]].quant.per_tensor
    found["x_range"] = np.float32([scale * (-128 - zero_point), scale * (127 - zero_point)])
    return found


def weighted(graph: Graph) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """(kind, integer weights, integer bias) of each layer that has them."""
    found = []
    for op in graph.ops:
        if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            found.append((op.kind, graph.tensors[op.inputs[1]].data, graph.tensors[op.inputs[2]].data))
    return found


def test_integer_weights_and_biases_are_the_same(ours: tuple[Lowered, Graph], theirs: Graph) -> None:
    own, other = weighted(ours[1]), weighted(theirs)
    assert [kind for kind, _, _ in own] == [kind for kind, _, _ in other]
    for (_, w, b), (_, their_w, their_b) in zip(own, other):
        assert np.array_equal(w, their_w)
        assert np.abs(b.astype(int) - their_b).max() <= 1       # a bias on the border of two steps: float32 against double


def test_scales_and_zero_points_are_the_same(ours: tuple[Lowered, Graph], theirs: Graph) -> None:
    graph = ours[1]
    pairs = list(zip([op for op in graph.ops if op.kind != "RESHAPE"], theirs.ops))     # which TensorFlow leaves out
    assert [op.kind for op, _ in pairs] == [op.kind for op in theirs.ops]
    same(graph.tensors[graph.inputs[0]].quant, theirs.tensors[theirs.inputs[0]].quant)
    for op, their_op in pairs:
        same(graph.tensors[op.outputs[0]].quant, theirs.tensors[their_op.outputs[0]].quant)
        if len(op.inputs) == 3:
            same(graph.tensors[op.inputs[1]].quant, theirs.tensors[their_op.inputs[1]].quant)


def same(mine: Quant, their: Quant) -> None:
    """A scale for all channels may stand there once."""
    assert np.allclose(mine.scale, their.scale, rtol=1e-6, atol=0)
    assert (mine.zero_point == their.zero_point).all()
