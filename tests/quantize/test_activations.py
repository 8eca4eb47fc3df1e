# SPDX-License-Identifier: Apache-2.0
"""int16 activations where rounding to int8 costs too much: what is measured, chosen, refused and handed over."""
from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mcunas import tasks
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.errors import InputError
from mcunas.graph import read_tflite, write_tflite
from mcunas.quantize.activations import fits, losses_of, needed
from mcunas.quantize.choose import Precision, wide_of
from mcunas.quantize.model import run_tflite
from mcunas.quantize.qat import FakeQuantized


class Doubling(nn.Module):
    """A residual network that doubles the sides of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.third, self.last = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.first(x))
        return F.pixel_shuffle(self.last(y + self.third(F.relu(self.second(y)))), 2)


class Gated(nn.Module):
    """Scales that TFLite dictates: a gate, and tanh of a transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.gate = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 1)
        self.up, self.last = nn.ConvTranspose2d(8, 4, 2, stride=2), nn.Conv2d(4, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.first(x))
        return self.last(torch.tanh(self.up(y * torch.sigmoid(self.gate(F.adaptive_avg_pool2d(y, 1))))))


def _quantized(wide: tuple[str, ...] = (), bits: dict[str, int] | None = None, net: type[nn.Module] = Doubling
               ) -> tuple[FakeQuantized, tasks.Task]:
    torch.manual_seed(0)
    task = tasks.load("digits")
    images = torch.from_numpy(task.real(task.train.images[:64]))
    return FakeQuantized(net().eval(), images, task.input_quant, bits=bits, wide=wide), task


def test_all_but_inputs_outputs_and_what_has_no_int16_form_can_be_int16() -> None:
    names = list(_quantized()[0].can_be_wide)
    assert len(names) == 4 and not any("shuffle" in name for name in names)
    assert len(_quantized(bits={"third": 4})[0].can_be_wide) == 2       # neither what it reads nor what it writes
    with pytest.raises(InputError, match="cannot be int16"):
        _quantized(("nonsense",))


@pytest.mark.parametrize(("net", "count"), [(Doubling, 1), (Doubling, 2), (Doubling, 4), (Gated, 4), (Gated, 7)])
def test_int16_activations_are_handed_over_as_training_saw_them(net: type[nn.Module], count: int) -> None:
    """Within one step of the fake-quantized network on 99 % of the outputs, by TFLite Micro."""
    wide = tuple(_quantized(net=net)[0].can_be_wide)[:count]
    assert len(wide) == count
    found, task = _quantized(wide, net=net)
    graph = read_tflite(write_tflite(found.export()))
    assert set(wide) <= {t.name for t in graph.tensors if t.dtype == "int16"}
    images = task.test.images[:40]
    scale, zero_point = graph.output_quant
    with torch.no_grad():
        fake = found.module.eval()(torch.from_numpy(task.real(images))).permute(0, 2, 3, 1).numpy()
    expected = np.clip(np.rint(fake / scale) + zero_point, -128, 127).astype(int)
    apart = np.abs(expected - run_tflite(graph, images).astype(int))
    assert (apart <= 1).mean() >= 0.99 and (apart == 0).mean() >= (0.98 if count >= 4 else 0.9), (apart == 0).mean()


def _inputs() -> tuple[FakeQuantized, torch.Tensor, torch.Tensor]:
    """int8 throughout; what the network gives without rounding to int8 is what it should give."""
    quantized, task = _quantized()
    x = torch.from_numpy(task.real(task.train.images[:32]))
    names = list(quantized.can_be_wide)
    outputs: list[torch.Tensor] = []
    losses_of(quantized, x, x, lambda y, _: outputs.append(y) or torch.zeros(()), names)
    return quantized, x, outputs[0]


def test_what_int8_costs_is_measured_and_won_back() -> None:
    quantized, x, target = _inputs()
    names, facts = needed(quantized, x, target, F.mse_loss)
    assert facts["loss_free"] == 0 < facts["loss_int8"] and names
    after, again = losses_of(quantized, x, target, F.mse_loss, names, ())
    assert after <= 0.1 * facts["loss_int8"] and again == facts["loss_int8"]        # every quantizer is back
    first = min(facts["alone"], key=facts["alone"].get)
    assert names[0] == first
    others, _ = needed(quantized, x, target, F.mse_loss, lambda chosen: first not in chosen)
    assert others and first not in others


def test_none_is_int16_where_the_loss_does_not_show_it() -> None:
    quantized, x, target = _inputs()
    assert needed(quantized, x, target, lambda y, t: F.mse_loss(y, t) + 1)[0] == []


def test_a_budget_is_kept() -> None:
    quantized, _ = _quantized()
    graph, names, board = quantized.export(), list(quantized.can_be_wide), Board.load("mps2-an386")
    assert fits(graph, [], board, Budget().for_board(board)) and fits(graph, names, board, Budget().for_board(board))
    assert not fits(graph, names, board, Budget(ram="1 KiB").for_board(board))
    assert not fits(graph, names, board, Budget(flash="1 KiB").for_board(board))


def test_what_is_asked_for_is_chosen() -> None:
    quantized, task = _quantized()
    names, facts = wide_of(Precision(activations="int16"), lambda: quantized, {}, None, task)
    assert names == tuple(quantized.can_be_wide) and facts == {"int16": list(names)}
    assert wide_of(Precision(wide=("first",)), lambda: quantized, {}, None, task)[0] == ("first",)
    for asked in (Precision(), Precision("auto", activations="int8"), Precision("auto")):
        assert wide_of(asked, lambda: quantized, {"third": 4}, None, task) == ((), {})       # int4: the flash is short


def test_precisions_of_activations_have_words() -> None:
    with pytest.raises(InputError, match="int12"):
        Precision(activations="int12")
    assert Precision(activations="int8").words() == "" and Precision(activations="int16").words()
    assert Precision("auto").words() == Precision("auto", activations="").words() != Precision("auto", wide=("x",)).words()
