# SPDX-License-Identifier: Apache-2.0
"""Prices against what they stand for: ``python -m tests.bench.cost [--quick]``.

Our own code: predicted arena, image, instructions and cycles of the MLPerf Tiny models and of random genotypes beside the
compiler's plan, the linked image and the simulation, on every core. TFLite Micro and vendors' engines: predicted beside
published measurements of real boards ($MCUNAS_DATA/measurements), arenas and energies too. Writes docs/results/cost.json,
.md and .png.
"""
from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mcunas.board import Board
from mcunas.compiler import OPTIMIZE, compile_graph
from mcunas.cost import estimate
from mcunas.cost.energy import power_table
from mcunas.cost.fit_power import rows as power_rows
from mcunas.cost.fit_power import setups
from mcunas.cost.fit_silicon import held_out_errors, layer_rows, network_rows
from mcunas.cost.pricer import Pricer
from mcunas.cost.tflm_arena import tflm_arena
from mcunas.cost.tflm_cycles import graph_terms, silicon_tables
from mcunas.device import build
from mcunas.device.profile import profile
from mcunas.graph import read_tflite
from mcunas.graph.from_torch import from_torch
from mcunas.graph.ir import Graph
from mcunas.space.residual import ResidualNet
from tests.bench.measure import MODELS, RESULTS, markdown, model_bytes, save
from tests.cost.test_pricer import opened, separable
from tests.cost.test_tflm_arena import MEASURED_BYTES
from tests.prune.nets import settled

BOARDS = ("mps2-an385-m0plus", "mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547")
NETWORKS = {"AD": "ad", "IC": "ic", "KWS": "kws", "VWW": "vww"}


def random_networks(count: int) -> Iterator[tuple[str, Graph]]:
    """Residual and separable nets of random widths with random weights, quantized: kernels' work depends on values, too."""
    torch.manual_seed(0)
    random, examples = np.random.default_rng(0), torch.rand(8, 3, 32, 32)
    for k in range(count):
        widths = [int(w) for w in random.integers(4, 65, 10)]
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 3, stride=2, padding=1), nn.ReLU()]
        for n, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
            layers += [nn.Conv2d(inputs, inputs, 3, stride=2 if n in (1, 3) else 1, padding=1, groups=inputs), nn.ReLU(),
                       nn.Conv2d(inputs, outputs, 1), nn.ReLU()]
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], 10)]
        yield f"separable {k}", from_torch(settled(normal(nn.Sequential(*layers))), examples)
        stages = tuple(int(w) for w in random.integers(4, 49, 3))
        yield f"residual {k}", from_torch(settled(normal(ResidualNet(3, 10, stages))), examples)


def normal(net: nn.Module) -> nn.Module:
    """With weights distributed as trained ones are: some kernels' work depends on how many are large."""
    for weight in net.parameters():
        if weight.dim() > 1:
            nn.init.kaiming_normal_(weight)
    return net


def simulated(name: str, graph: Graph, board: Board) -> dict[str, Any]:
    """Predicted beside compiled, linked and simulated."""
    cost, compiled = estimate(graph, board), compile_graph(graph, board)
    with tempfile.TemporaryDirectory() as folder:
        image = build(compiled, board, folder)
        found = profile(image)
    return {"board": board.key, "model": name, "ram_bytes": cost.ram_bytes, "planned_ram_bytes": compiled.plan.arena_bytes,
            "image_bytes": cost.image_bytes, "linked_bytes": image.manifest["build"]["flash_bytes"],
            "instructions": cost.instructions, "executed_instructions": found.total.instructions,
            "cycles": cost.cycles, "simulated_cycles": found.total.cycles}


def own_rows(quick: bool) -> list[dict[str, Any]]:
    rows, random = [], list(random_networks(2 if quick else 4))
    for key in BOARDS[2:3] if quick else BOARDS:
        board = Board.load(key)
        for model in MODELS:
            rows.append(simulated(model, read_tflite(model_bytes(model), model), board))
        rows += [simulated(name, graph, board) for name, graph in random]
    return rows


def goal_rows(quick: bool) -> list[dict[str, Any]]:
    """Predicted and linked images of the MLPerf Tiny models for the goals that `own_rows` leaves out."""
    rows = []
    for key, goal, model in product(BOARDS[2:3] if quick else BOARDS, OPTIMIZE, MODELS):
        if goal != "balanced":
            board, graph = Board.load(key), read_tflite(model_bytes(model), model)
            with tempfile.TemporaryDirectory() as folder:
                image = build(compile_graph(graph, board, goal), board, folder)
            rows.append({"board": key, "goal": goal, "model": model,
                         "image_bytes": estimate(graph, board, goal=goal).image_bytes,
                         "linked_bytes": image.manifest["build"]["flash_bytes"]})
    return rows


def silicon_rows(data: Path) -> list[dict[str, Any]]:
    """Published cycles of whole networks beside the prices of boards/cost/silicon-*.toml."""
    work = {n: np.array(graph_terms(read_tflite(model_bytes(m), m))) for n, m in NETWORKS.items()}
    engines = {(s.board, e.name.split(": ")[-1]): e for s in silicon_tables() for e in s.engines}
    return [{"board": board, "engine": engine, "network": name, "clock_hz": hz, "published_cycles": cycles,
             "predicted_cycles": round(float(np.dot(engines[board, engine].cycles, work[name])))}
            for (board, _, hz, engine), networks in sorted(network_rows(data / "latency.csv").items())
            if len(networks) > 2 for name, cycles in sorted(networks.items())]


def speed_row() -> dict[str, Any]:
    """Processor seconds for 10,000 genotypes of the 20-layer net: any widths, and widths in eights."""
    skeleton, random = opened(separable(64, 9), torch.zeros(1, 3, 32, 32)), np.random.default_rng(1)
    row: dict[str, Any] = {"genotypes": 10_000, "layers": 20}
    for name, step in (("any_widths_s", 1), ("eights_s", 8)):
        widths = np.array([[random.integers(-(-4 // step), full // step + 1) * step for full in skeleton.full]
                           for _ in range(10_000)])
        started = time.process_time()
        prices = Pricer(skeleton, Board.load("mps2-an386")).many(widths)
        row[name] = round(time.process_time() - started, 2)
        row[name.replace("_s", "_exact_ram_share")] = float(prices.ram_is_exact.mean())
    return row


def percent(predicted: float, measured: float) -> str:
    return f"{100 * (predicted / measured - 1):+.1f} %"


def scatter(own: list[dict[str, Any]], silicon: list[dict[str, Any]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import NullFormatter

    figure, axes = pyplot.subplots(1, 3, figsize=(13, 4.4))
    panels = (("image in flash, bytes", [(r["linked_bytes"], r["image_bytes"], r["board"]) for r in own], "linked"),
              ("cycles, our code", [(r["simulated_cycles"], r["cycles"], r["board"]) for r in own], "simulated"),
              ("cycles, engines on real boards", [(r["published_cycles"], r["predicted_cycles"], r["board"])
                                                  for r in silicon], "published"))
    for axis, (title, points, what) in zip(axes, panels):
        for key in sorted({p[2] for p in points}):
            mine = [p for p in points if p[2] == key]
            axis.loglog([p[0] for p in mine], [p[1] for p in mine], "o", markersize=4, alpha=0.7, label=key)
        ends = [min(p[0] for p in points) / 1.3, max(p[0] for p in points) * 1.3]
        axis.plot(ends, ends, color="0.6", linewidth=1, zorder=0)
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set(title=title, xlabel=what, ylabel="predicted", xlim=ends, ylim=ends)
        axis.legend(fontsize=6, loc="upper left")
    figure.tight_layout()
    figure.savefig(RESULTS / "cost.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one core, fewer genotypes")
    data = Path(os.environ.get("MCUNAS_DATA", "")) / "measurements"
    quick = parser.parse_args().quick
    write(own_rows(quick), goal_rows(quick), silicon_rows(data), speed_row(), data)


def write(own: list[dict[str, Any]], goals: list[dict[str, Any]], silicon: list[dict[str, Any]], speed: dict[str, Any],
          data: Path) -> None:
    """The tables and the plot. Published figures stay where they are: the JSON holds the errors against them."""
    text = "## Our code: predicted beside compiled, linked, simulated\n\n" + markdown(
        ["board", "model", "RAM", "planned", "image", "linked", "", "cycles: model", "simulated", ""],
        [[r["board"], r["model"], r["ram_bytes"], r["planned_ram_bytes"], r["image_bytes"], r["linked_bytes"],
          percent(r["image_bytes"], r["linked_bytes"]), r["cycles"], r["simulated_cycles"],
          percent(r["cycles"], r["simulated_cycles"])] for r in own])
    text += "\n## Cycle model per core: error of predicted cycles against the simulation\n\n" + markdown(
        ["board", "median", "90th percentile", "worst"],
        [[key, *(f"{v:.1f} %" for v in np.percentile([abs(r["cycles"] / r["simulated_cycles"] - 1) * 100 for r in own
                                                      if r["board"] == key], (50, 90, 100)))]
         for key in dict.fromkeys(r["board"] for r in own)])
    text += "\n## Images of the other goals: error of the predicted size against the linked one\n\n" + markdown(
        ["board", "model", *(goal for goal in OPTIMIZE if goal != "balanced")],
        [[b, m, *(percent(r["image_bytes"], r["linked_bytes"]) for r in goals if (r["board"], r["model"]) == (b, m))]
         for b, m in dict.fromkeys((r["board"], r["model"]) for r in goals)])
    arenas = [(m, isa, tflm_arena(read_tflite(model_bytes(m), m), isa).total_bytes, MEASURED_BYTES[file][k])
              for m, file in MODELS.items() for k, isa in enumerate(("dsp", "mve"))]
    text += "\n## TFLite Micro's arena: computed beside measured\n\n" + markdown(
        ["model", "core", "computed", "measured", ""],
        [[m, {"dsp": "Cortex-M4", "mve": "Cortex-M55"}[isa], a, b, percent(a, b)] for m, isa, a, b in arenas])
    layers = {d: np.abs(held_out_errors(*r[2:])) * 100 for d, r in layer_rows(data / "micronas_layers.csv").items()}
    text += "\n## TFLM + CMSIS-NN, single layers on real boards, shapes held out\n\n" + markdown(
        ["board", "layers", "median", "90th percentile"],
        [[d, len(e), *(f"{v:.1f} %" for v in np.percentile(e, (50, 90)))] for d, e in layers.items()])
    text += ("\n## Whole networks on real boards: error of the fitted prices (model, against silicon)\n\nThree prices per "
             "board and engine are fitted to its three or four networks, so these are residuals, and rows of three leave "
             "nothing to check. boards/cost/silicon-*.toml tells how well each network is predicted from the others.\n\n")
    text += markdown(
        ["board", "engine", *NETWORKS],
        [[b, e, *(next((percent(r["predicted_cycles"], r["published_cycles"]) for r in silicon
                        if (r["board"], r["engine"], r["network"]) == (b, e, n)), "-") for n in NETWORKS)]
         for b, e in dict.fromkeys((r["board"], r["engine"]) for r in silicon)])
    power = {(p.board, p.setup): p.milliwatts for p in power_table()}
    text += "\n## Energy as power times latency: errors against published energies\n\n" + markdown(
        ["board", "setup", "mW", "rows", "worst"],
        [[*key, power[key], len(v), f"{max(abs(power[key] / x - 1) for x in v) * 100:.0f} %"]
         for key, v in setups(power_rows(data / "latency.csv")).items()])
    text += (f"\n## Speed\n\n{speed['genotypes']:,} genotypes of a {speed['layers']}-layer net, one core, processor time: "
             f"{speed['any_widths_s']} s at any widths, {speed['eights_s']} s at multiples of eight. RAM is exact without a "
             f"further search for {speed['any_widths_exact_ram_share']:.0%}.\n\n![predicted beside measured](cost.png)\n")
    errors = [{k: r[k] for k in ("board", "engine", "network")}
              | {"error_percent": round(100 * (r["predicted_cycles"] / r["published_cycles"] - 1), 2)} for r in silicon]
    save("cost", [*own, *goals, *errors, speed], text)
    scatter(own, silicon)


if __name__ == "__main__":
    main()
