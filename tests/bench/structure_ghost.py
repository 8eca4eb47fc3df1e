# SPDX-License-Identifier: Apache-2.0
"""C-Ghost and G-Ghost (pruning-methods.md section 6, A9): a net heavy in 1x1 convolutions against its upgrade.

The arms are the plain net, its upgrade by `ghostify`, the plain net narrowed to the upgrade's multiply-accumulates and to
its peak RAM, and stages of G-Ghost. All are trained alike, from scratch, without a budget, and end as int8 in QEMU.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import nn

from mcunas.board import Board
from mcunas.cost import Cost, estimate
from mcunas.space import ghostify
from mcunas.space.blocks import Context, build
from mcunas.space.layers import conv_norm
from mcunas.space.price import graph_of
from mcunas.tasks import Schedule
from tests.bench import nas_contest as contest
from tests.bench.measure import markdown
from tests.bench.nas_report import of, percent, say
from tests.bench.structure_arms import Arm, measured
from tests.bench.structure_end import Rows, gates
from tests.bench.structure_picture import dots

BOARD = "mps2-an386"
WIDTH = 64
SCHEDULE = Schedule(prune_epochs=0, finetune_epochs=12, qat_epochs=2, warmup_epochs=1, batch=64, rate=0.05,
                    epoch_samples=6_000)
NOTES = {"plain": "four blocks of 1x1 convolutions", "ghost": "ghostify(plain)",
         "equal-macs": "plain, narrowed to ghost's MACs", "equal-ram": "plain, narrowed to ghost's peak RAM",
         "g-ghost": "stages of G-Ghost instead of the blocks"}
ARMS = {name: Arm("scratch", f"tests.bench.structure_ghost:{name.replace('-', '_')}", note=note)
        for name, note in NOTES.items()}


class Net(nn.Module):
    """Stem, then per block a depthwise 3x3 (stride 2 in two of them) and two 1x1 convolutions, mean, linear."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        size, layers = (14, 14), [*conv_norm(1, width // 2, (3, 3), (2, 2), (28, 28)), nn.ReLU()]
        inputs = width // 2
        for stride in (1, 2, 1, 2):
            layers += [*conv_norm(inputs, inputs, (3, 3), (stride, stride), size, groups=inputs), nn.ReLU()]
            size = (-(-size[0] // stride),) * 2
            layers += [*conv_norm(inputs, width, (1, 1), (1, 1), size), nn.ReLU(),
                       *conv_norm(width, width, (1, 1), (1, 1), size), nn.ReLU()]
            inputs = width
        self.layers, self.head = nn.Sequential(*layers), nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(x).mean((2, 3)))


class Stages(nn.Module):
    """G-Ghost stages with the plain net's strides, each closed by a 1x1 convolution at full width."""

    def __init__(self) -> None:
        super().__init__()
        layers = [*conv_norm(1, 16, (3, 3), (2, 2), (28, 28)), nn.ReLU()]
        for context in (Context((14, 14), 16, 32), Context((14, 14), 32, 48, 2)):
            layers += [build("gghost2", context),
                       *conv_norm(context.outputs, context.outputs, (1, 1), (1, 1), context.out_size), nn.ReLU()]
        self.layers, self.head = nn.Sequential(*layers), nn.Linear(48, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(x).mean((2, 3)))


def priced(net: nn.Module) -> Cost:
    return estimate(graph_of(net, (28, 28), 1), Board.load(BOARD), rewrite=False)


def plain() -> nn.Module:
    return Net()


def ghost() -> nn.Module:
    return ghostify(Net(), torch.zeros(1, 1, 28, 28))


@cache
def narrowed(figure: str) -> int:
    """The widest plain net, by steps of 2, that takes no more than the ghost net of a figure of Cost."""
    limit = getattr(priced(ghost()), figure)
    return next(w for w in range(WIDTH, 0, -2) if getattr(priced(Net(w)), figure) <= limit)


def equal_macs() -> nn.Module:
    return Net(narrowed("macs"))


def equal_ram() -> nn.Module:
    return Net(narrowed("ram_bytes"))


def g_ghost() -> nn.Module:
    return Stages()


def measure(folder: Path, seeds: list[int], quick: bool, stop: Callable[..., None]) -> dict[str, Any]:
    """{"rows": one per arm and seed}. What is finished is kept."""
    return {"rows": measured(ARMS, SCHEDULE, folder, seeds, quick, stop)}


def report(found: dict[str, Any]) -> tuple[str, dict[str, bytes]]:
    rows: Rows = found["rows"]
    lines = [[name, percent(own), " ".join(f"{100 * r['int8_accuracy']:.2f}" for r in own), f"{own[0]['macs']:,}",
              f"{own[0]['ram_bytes']:,}", f"{own[0]['flash_bytes']:,}", f"{own[0]['cycles']:,}", note]
             for name, note in NOTES.items() if (own := of(rows, name))]
    text = ["# Ghost: half of the channels from the other half\n",
            f"Fashion-MNIST ({contest.TRAINING_IMAGES:,} training images), int8 on {BOARD}; exact figures of the exported "
            "models. Whatever a concatenation copies is in RAM and cycles.\n",
            markdown(["arm", "int8 %", "per seed", "MACs", "RAM B", "flash B", "cycles", "what it is"], lines),
            "## Expectations\n", "\n".join([*gates(rows), *_expected(rows)]) + "\n"]
    text.append("![int8 accuracy](structure-ghost.png)\n")
    points = {name: [100 * r["int8_accuracy"] for r in own] for name in ARMS if (own := of(rows, name))}
    return "\n".join(text), {"structure-ghost.png": dots(points, "int8 test accuracy, %")}


def _expected(rows: Rows) -> list[str]:
    own = {name: of(rows, name) for name in ARMS}
    if not all(own[n] for n in ("plain", "ghost", "equal-macs", "equal-ram")):
        return []
    first = {name: r[0] for name, r in own.items() if r}
    score = {name: mean(100 * r["int8_accuracy"] for r in own[name]) for name in first}
    share = first["ghost"]["macs"] / first["plain"]["macs"]
    ram = {n: first[n]["ram_bytes"] for n in ("plain", "ghost", "equal-ram")}
    return [say(f"ghost takes {share:.3f} of plain's MACs (about 0.55)", 0.5 <= share <= 0.6),
            say(f"and loses {score['plain'] - score['ghost']:.2f} points (<= 0.5)", score["plain"] - score["ghost"] <= 0.5),
            say(f"at equal MACs it beats the narrowed plain net: {score['ghost']:.2f} against {score['equal-macs']:.2f} %",
                score["ghost"] > score["equal-macs"]),
            f"- peak RAM: plain {ram['plain']:,} B, ghost {ram['ghost']:,} B; plain at ghost's RAM ({ram['equal-ram']:,} B) "
            f"reaches {score['equal-ram']:.2f} %, ghost {score['ghost']:.2f} %"]
