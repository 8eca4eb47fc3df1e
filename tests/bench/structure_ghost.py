# SPDX-License-Identifier: Apache-2.0
"""C-Ghost and G-Ghost (pruning-methods.md section 6, A9): a net heavy in 1x1 convolutions against its upgrade.

The arms are the plain net, its upgrade by `ghostify`, the plain net as wide as the upgrade's multiply-accumulates and its
peak RAM allow; and stages of G-Ghost beside the same stages at full width. All are trained alike, from scratch, without a
budget, and end as int8 in QEMU. What a concatenation copies is read from the firmware's manifest.
"""
from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from math import prod
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
from tests.bench.nas_report import beats, both, of, percent, say
from tests.bench.structure_arms import Arm, measured
from tests.bench.structure_end import Rows, gates
from tests.bench.structure_picture import dots

BOARD = "mps2-an386"
WIDTH = 64
SCHEDULE = Schedule(prune_epochs=0, finetune_epochs=16, qat_epochs=2, warmup_epochs=1, batch=64, rate=0.05,
                    epoch_samples=5_000)
NOTES = {"plain": "four blocks of 1x1 convolutions", "ghost": "ghostify(plain)",
         "equal-macs": "plain, as wide as ghost's MACs allow", "equal-ram": "plain, as wide as ghost's peak RAM allows",
         "stages": "two stages of three 3x3 convolutions", "g-ghost": "the same as stages of G-Ghost"}
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
    """Two stages, the second one strided, each closed by a 1x1 convolution at full width."""

    def __init__(self, is_ghost: bool) -> None:
        super().__init__()
        layers = [*conv_norm(1, 16, (3, 3), (2, 2), (28, 28)), nn.ReLU()]
        for context in (Context((14, 14), 16, 32), Context((14, 14), 32, 48, 2)):
            width, size = context.outputs, context.out_size
            layers += [build("gghost2", context)] if is_ghost else _full(context)
            layers += [*conv_norm(width, width, (1, 1), (1, 1), size), nn.ReLU()]
        self.layers, self.head = nn.Sequential(*layers), nn.Linear(48, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(x).mean((2, 3)))


def _full(context: Context) -> list[nn.Module]:
    """As many layers as the block "gghost2" has, all of them at full width."""
    width, size = context.outputs, context.out_size
    first = [*conv_norm(context.inputs, width, (3, 3), context.strides, context.size), nn.ReLU()]
    return first + [m for _ in range(2) for m in (*conv_norm(width, width, (3, 3), (1, 1), size), nn.ReLU())]


def priced(net: nn.Module) -> Cost:
    return estimate(graph_of(net, (28, 28), 1), Board.load(BOARD), rewrite=False)


def plain() -> nn.Module:
    return Net()


def ghost() -> nn.Module:
    return ghostify(Net(), torch.zeros(1, 1, 28, 28))


@cache
def allowed(figure: str) -> int:
    """The widest plain net, by steps of 2, that takes no more than the ghost net of a figure of Cost."""
    limit = getattr(priced(ghost()), figure)
    return next(w for w in range(WIDTH + 24, 0, -2) if getattr(priced(Net(w)), figure) <= limit)


def equal_macs() -> nn.Module:
    return Net(allowed("macs"))


def equal_ram() -> nn.Module:
    return Net(allowed("ram_bytes"))


def stages() -> nn.Module:
    return Stages(is_ghost=False)


def g_ghost() -> nn.Module:
    return Stages(is_ghost=True)


def measure(folder: Path, seeds: list[int], quick: bool, stop: Callable[..., None]) -> dict[str, Any]:
    """{"rows": one per arm and seed, "layer_macs": of the convolutions that ghostify replaced, before and after}. What is
    finished is kept."""
    rows = measured(ARMS, SCHEDULE, folder, seeds, quick, stop)
    return {"rows": [{**row, **copies(folder / f"{row['arm']}-{row['seed']}")} for row in rows], "layer_macs": layer_macs()}


def copies(out: Path) -> dict[str, int]:
    """Of the firmware that was run: concatenations of images, and kernels that copy for them."""
    layers = json.loads((out / "firmware" / "manifest.json").read_text())["layers"]
    found = [x for x in layers if x["kind"] == "CONCATENATION" and x["output"][1:3] != [1, 1]]
    return {"concatenations": len(found), "copies": sum(len(x["kernels"]) for x in found)}


def layer_macs() -> tuple[int, int]:
    """Multiply-accumulates of the 1x1 convolutions, which are what ghostify replaces here: (before, after)."""
    graph, before = graph_of(plain(), (28, 28), 1), 0
    for op in graph.ops:
        if op.kind == "CONV_2D" and graph.tensors[op.inputs[1]].shape[1:3] == (1, 1):
            before += prod(graph.tensors[op.outputs[0]].shape) * graph.tensors[op.inputs[1]].shape[3]
    return before, before - (priced(plain()).macs - priced(ghost()).macs)


def report(found: dict[str, Any]) -> tuple[str, dict[str, bytes]]:
    rows: Rows = found["rows"]
    lines = [[name, percent(own), " ".join(f"{100 * r['int8_accuracy']:.2f}" for r in own), f"{own[0]['macs']:,}",
              *(f"{own[0]['ram_by_goal'][goal]:,}" for goal in ("balanced", "ram")), f"{own[0]['flash_bytes']:,}",
              f"{own[0]['cycles']:,}", f"{own[0]['copies']} / {own[0]['concatenations']}", note]
             for name, note in NOTES.items() if (own := of(rows, name))]
    text = ["# Ghost: half of the channels from the other half\n",
            f"Fashion-MNIST ({contest.TRAINING_IMAGES:,} training images, all 10,000 test images), "
            f"{SCHEDULE.finetune_epochs} epochs of {SCHEDULE.epoch_samples:,} samples from scratch, int8 on {BOARD}; exact "
            "figures of the exported models. RAM: planned as the firmware is (balanced), and for least RAM. Copies: kernels "
            "that copy for a concatenation of images, of how many; in RAM and cycles they are included.\n",
            markdown(["arm", "int8 %", "per seed", "MACs", "RAM B", "least RAM B", "flash B", "cycles", "copies",
                      "what it is"], lines),
            "## Expectations\n", "\n".join([*gates(rows), *_expected(rows, *found["layer_macs"])]) + "\n"]
    text.append("![int8 accuracy](structure-ghost.png)\n")
    points = {name: [100 * r["int8_accuracy"] for r in own] for name in ARMS if (own := of(rows, name))}
    return "\n".join(text), {"structure-ghost.png": dots(points, "int8 test accuracy, %")}


def _expected(rows: Rows, before: int, after: int) -> list[str]:
    first = {name: own[0] for name in ARMS if (own := of(rows, name))}
    if not {"plain", "ghost", "equal-ram"} <= set(first):
        return []
    share, whole = after / before, first["ghost"]["macs"] / first["plain"]["macs"]
    copied, of_all = first["ghost"]["copies"], first["ghost"]["concatenations"]
    ram = {n: first[n]["ram_by_goal"] for n in first}
    said = [say(f"ghost takes {share:.3f} of the MACs of the layers that it replaces (about 0.55: 0.5 to 0.6); of the whole "
                f"net {whole:.3f}", 0.5 <= share <= 0.6),
            say(f"none of ghost's {of_all} concatenations copies on the board ({copied} copies)", copied == 0),
            *_loses(rows, "ghost", "plain"), *beats(rows, "ghost", "equal-macs")]
    if "g-ghost" in first and "stages" in first:
        share = first["g-ghost"]["macs"] / first["stages"]["macs"]
        said += [f"- G-Ghost takes {share:.3f} of the MACs of its stages; {first['g-ghost']['copies']} kernels copy for its "
                 f"{first['g-ghost']['concatenations']} concatenations", *_loses(rows, "g-ghost", "stages")]
    saves = ram["ghost"]["ram"] < ram["plain"]["ram"]
    return [*said, say(f"ghost needs less RAM than plain: {ram['ghost']['balanced']:,} against {ram['plain']['balanced']:,} "
                       f"B; planned for least RAM {ram['ghost']['ram']:,} against {ram['plain']['ram']:,} B", saves),
            *beats(rows, "ghost", "equal-ram")]


def _loses(rows: Rows, less: str, more: str) -> list[str]:
    """At most half a point."""
    a, b = both(rows, less, more)
    lost = [100 * (y["int8_accuracy"] - x["int8_accuracy"]) for x, y in zip(a, b)]
    shown = " ".join(f"{v:+.2f}" for v in lost)
    return [say(f"{less} loses {mean(lost):.2f} points int8 against {more} (<= 0.5; by seed: {shown})", mean(lost) <= 0.5)]
