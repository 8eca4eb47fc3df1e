# SPDX-License-Identifier: Apache-2.0
"""QuantNAS (pruning-methods.md section 3, A12): noise instead of rounding while blocks and bits are searched.

2x super-resolution of Fashion-MNIST, 14x14 to 28x28. Arms differ in what the supernet's convolutions see; all have the same
space, budget, steps and data, and every network is trained from scratch and quantized by one recipe. A search step is one of
weights and one of alpha; its CPU time is the median of many on the same batches, the ways in turn, on one thread. Both ways
compute one convolution per block, whatever bits there are.
"""
from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch

from mcunas import tasks
from mcunas.api import build
from mcunas.board import Board
from mcunas.budget import Budget
from mcunas.device.alone import simulated
from mcunas.device.proof import prove
from mcunas.search import search
from mcunas.search.driver import THREADS
from mcunas.search.nas.run import faster, sgd
from mcunas.search.quantnas import SETTINGS, way_of
from mcunas.space import sampling
from mcunas.space import space as spaces
from mcunas.space.bit_choice import BitNet
from mcunas.space.bit_conv import BitConv, Way
from mcunas.space.blocks import with_bits
from mcunas.space.lsq import Lsq
from mcunas.space.price import Prices
from mcunas.tasks import Schedule, Task
from mcunas.tasks.test_reads import open_test
from mcunas.tasks.training import batches, channels_last, generator
from tests.bench.kept import ROW, row_of
from tests.bench.measure import markdown
from tests.bench.nas_contest import M4
from tests.bench.nas_report import Rows, both, of, say
from tests.bench.quant_base import dots
from tests.bench.structure_end import finished

TASK = f"{__name__}:pictures"
SPACE: dict[str, Any] = {"stages": [{"channels": 16, "stride": 1, "slots": 4}]}
ADMITTED = {"latency": 0.3, "flash": 0.4}      # shares of the space's networks, by the table of prices
RAM_BYTES = 24 * 1024
SCHEDULE = Schedule(prune_epochs=20, finetune_epochs=40, qat_epochs=2, warmup_epochs=2, batch=32, rate=0.2, qat_rate=0.0005,
                    weight_decay=1e-5, epoch_samples=2_400, measured_images=300)
STEPS, STREAMED = 50, 12
RATIO, LOSS_DB = 0.8, 0.05                      # wanted: at most


@dataclass(frozen=True)
class Arm:
    method: str
    settings: dict[str, Any] = field(default_factory=dict)
    note: str = ""


ARMS = {"noise": Arm("quantnas", {}, "quantization as noise"),
        "direct": Arm("quantnas", {"by": "direct"}, "rounding to learned steps (LSQ)"),
        "none": Arm("quantnas", {"by": "none"}, "no quantization in the search"),
        "random": Arm("random-space", {}, "random search, the same samples; candidates train with noise"),
        "frozen": Arm("quantnas", {"placebo": "frozen"}, "placebo: alpha never moves")}


class Fused(Lsq):
    """Rounding without anything learned, by torch's fused operator: the cheapest direct quantization, for its time only."""

    def attach(self, conv: BitConv) -> None:
        pass

    def input(self, conv: BitConv, x: torch.Tensor) -> torch.Tensor:
        low, high = torch.aminmax(x.detach())
        scale = max(float(high) - min(float(low), 0.0), 1e-6) / 255
        return torch.fake_quantize_per_tensor_affine(x, scale, round(-min(float(low), 0.0) / scale), 0, 255)

    def weight(self, conv: BitConv) -> torch.Tensor:
        tops, zeros = conv.weight.detach().abs().amax((1, 2, 3)), torch.zeros(conv.out_channels, dtype=torch.int32)
        found: torch.Tensor | float = 0.0
        for bits, share in conv.shares:
            high = 2 ** (bits - 1) - 1
            found = found + share * torch.fake_quantize_per_channel_affine(conv.weight, tops / high, zeros, 0, -high, high)
        return found


@cache
def pictures() -> Task:
    """The task with a part of its training, validation and test images."""
    task = tasks.load("super-resolution")
    return replace(task, name=TASK, train=task.train[:12_000], validation=task.validation[:1_000], test=task.test[:2_000])


@cache
def space() -> spaces.Space:
    return spaces.load("pixels", SPACE, (14, 14, 1), 1)


@cache
def budget() -> Budget:
    """What lets in the given shares of networks drawn at random."""
    board, random = Board.load(M4), generator(0, 0)
    prices = Prices(space(), board, RAM_BYTES, simulated)
    drawn = [space().genotype({s.name: s.options[int(torch.randint(len(s.options), (), generator=random))]
                               for s in space().slots}) for _ in range(2_048)]
    cycles, flash_bytes = (sorted(column) for column in zip(*map(prices.added, drawn)))
    return Budget(RAM_BYTES, flash_bytes[int(ADMITTED["flash"] * len(drawn))],
                  cycles[int(ADMITTED["latency"] * len(drawn))] / board.clock_hz * 1e6)


def measure(folder: Path, seeds: list[int], quick: bool, stop: Callable[..., None]) -> dict[str, Any]:
    torch.set_num_threads(THREADS)
    times = folder / "times.json"
    if not times.exists():
        times.write_text(json.dumps(step_times(3 if quick else STEPS)) + "\n")
    plan = replace(SCHEDULE, prune_epochs=3, finetune_epochs=1, qat_epochs=1, warmup_epochs=1, epoch_samples=320,
                   measured_images=20) if quick else SCHEDULE
    for seed in seeds:
        for name, arm in ARMS.items():
            stop()
            row = _row(folder / f"{name}-{seed}", name, arm, seed, plan, stop)
            if row:
                print(f"{name} {seed}: {row['int8_accuracy']:.3f} dB, {' '.join(row['choices'].values())}", flush=True)
    return kept(folder, seeds)


def _row(out: Path, name: str, arm: Arm, seed: int, plan: Schedule, stop: Callable[..., None]) -> dict[str, Any] | None:
    def run() -> dict[str, Any]:
        result = search(TASK, Board.load(M4), budget(), arm.method, out, seed, start="pixels", options=SPACE, schedule=plan,
                        settings=arm.settings, progress=stop)
        row = finished(result, out, budget(), stop)
        firmware = build(out / "model.tflite", Board.load(M4), out / "firmware", budget=budget())
        proof = prove(firmware, pictures(), open_test(pictures(), out, "board", STREAMED))
        return {**row, "choices": result.genotype.choices, "streamed": STREAMED, "host_psnr": proof.on_host["PSNR"],
                "board_psnr": proof.on_board["PSNR"], "board_mismatches": proof.report.mismatches}

    asked = {"settings": arm.settings, "schedule": asdict(plan), "budget": asdict(budget()), "space": SPACE}
    return row_of(out, asked, run, arm=name, seed=seed)


def step_times(count: int) -> dict[str, list[float]]:
    """way -> CPU seconds of each of `count` search steps; the first, which fills caches, is left out."""
    ways: dict[str, Way] = {by: way_of({**SETTINGS, "by": by}, 0) for by in ("noise", "direct", "none")}
    ways["fused"] = Fused()
    steps = {name: _stepper(way) for name, way in ways.items()}
    found: dict[str, list[float]] = {name: [] for name in steps}
    data = list(batches(pictures(), replace(SCHEDULE, epoch_samples=32 * 8), 0, 0))
    for n in range(count + 1):
        for name, step in steps.items():
            started = time.process_time()
            step(*data[n % len(data)])
            found[name] += [time.process_time() - started] if n else []
    return found


def _stepper(way: Way) -> Callable[[torch.Tensor, torch.Tensor], None]:
    torch.manual_seed(0)
    net = faster(BitNet(space(), None, way))
    of_weights, of_alpha = sgd(net.weights(), replace(SCHEDULE, rate=0.01)), torch.optim.Adam(net.arch(), 0.01)
    loss_of = pictures().objective.loss

    def step(x: torch.Tensor, labels: torch.Tensor) -> None:
        for optimizer, fixed in ((of_weights, net.arch()), (of_alpha, net.weights())):
            for parameter in fixed:
                parameter.requires_grad_(False)
            optimizer.zero_grad(set_to_none=True)
            loss_of(net(x, net.gates(sampling.mixture)), labels).backward()
            optimizer.step()
            for parameter in fixed:
                parameter.requires_grad_(True)

    return step


def kept(folder: Path, seeds: list[int]) -> dict[str, Any]:
    paths = [path for seed in seeds for path in sorted(folder.glob(f"*-{seed}/{ROW}"))]
    return {"rows": [json.loads(path.read_text()) for path in paths], "budget": asdict(budget()),
            "times": json.loads((folder / "times.json").read_text()), "enlarged": enlarged()}


def enlarged() -> dict[str, float]:
    """PSNR of the test images without a network."""
    task = pictures()
    x = torch.from_numpy(task.real(task.test.images[:SCHEDULE.measured_images]))
    labels = task.test.labels[:len(x)]
    return {mode: task.objective.measure(task.objective.decode(channels_last(
        torch.nn.functional.interpolate(x, scale_factor=2, mode=mode)), None), labels)["PSNR"]
        for mode in ("nearest", "bilinear", "bicubic")}


def report(found: dict[str, Any]) -> tuple[str, dict[str, str]]:
    rows: Rows = found["rows"]
    limit = found["budget"]
    lines = [[name, f"{mean(r['int8_accuracy'] for r in own):.3f}", " ".join(f"{r['int8_accuracy']:.2f}" for r in own),
              f"{mean(r['float_accuracy'] for r in own):.3f}", f"{mean(r['flash_bytes'] for r in own):,.0f}",
              f"{mean(r['cycles'] for r in own) / 1e6:.2f}", f"{mean(_short(r) for r in own):.1f}",
              f"{mean(r['cpu_seconds'].get('search', 0) for r in own):.0f}",
              f"{mean(sum(r['cpu_seconds'].values()) for r in own):.0f}", arm.note]
             for name, arm in ARMS.items() if (own := of(rows, name))]
    plain = ", ".join(f"{mode} {value:.2f}" for mode, value in found["enlarged"].items())
    text = ["# QuantNAS: noise instead of rounding\n",
            f"Super-resolution of Fashion-MNIST, 14x14 to 28x28; {len(pictures().train):,} training images, "
            f"{SCHEDULE.measured_images} test images. PSNR in dB, that of the integer model by TFLite Micro. Without a "
            f"network: {plain}. Four slots of {len(space().slots[0].options)} options on {M4}; budget: "
            f"{limit['flash']:,} B of flash, {limit['latency'] / 1e3:.1f} ms. "
            "`python -m tests.bench.quant --paper quantnas`\n",
            markdown(["arm", "PSNR", "runs", "float", "flash B", "megacycles", "int4 slots", "search CPU s", "all CPU s",
                      "what it is"], lines),
            "## Networks\n", markdown(["arm", "seed", "options", "entropy at the end"],
                                      [[r["arm"], r["seed"], " ".join(r["choices"].values()),
                                        f"{r['facts']['entropy']:.2f}" if "entropy" in r["facts"] else ""] for r in rows]),
            "## A search step\n", _times(found["times"]),
            "## Expectations\n", "\n".join(_expected(rows, found["times"])) + "\n"]
    points = {name: [r["int8_accuracy"] for r in own] for name in ARMS if (own := of(rows, name))}
    if not points:
        return "\n".join(text), {}
    text.append("![PSNR](quant-quantnas.svg)\n")
    return "\n".join(text), {"quant-quantnas.svg": dots(points, "PSNR of the integer model, dB")}


def _short(row: dict[str, Any]) -> int:
    return sum(with_bits(option)[1] == 4 for option in row["choices"].values())


def _times(times: dict[str, list[float]]) -> str:
    notes = {name: arm.note for name, arm in ARMS.items()}
    notes["fused"] = "rounding to the range of each batch, by torch's operator"
    return markdown(["way", "CPU ms, median", "of direct", "what it is"],
                    [[name, f"{1e3 * median(own):.1f}", f"{median(own) / median(times['direct']):.2f}", notes[name]]
                     for name, own in times.items()])


def _expected(rows: Rows, times: dict[str, list[float]]) -> list[str]:
    wrong = sum(r["mismatches"] + r["board_mismatches"] for r in rows)
    alike = [r["host_psnr"] == r["board_psnr"] for r in rows]
    lines = [say(f"{wrong} output bytes differ in QEMU from TFLite Micro's", wrong == 0),
             say("PSNR on the board is that of the host for every network", all(alike))]
    direct, fused = (median(times["noise"]) / median(times[rival]) for rival in ("direct", "fused"))
    lines += [say(f"a step with noise takes {direct:.2f} of the CPU time of direct quantization (<= {RATIO})",
                  direct <= RATIO),
              f"- {fused:.2f} of the CPU time of direct quantization that learns nothing, by a fused operator"]
    for rival in [name for name in ARMS if name != "noise"]:
        own, theirs = both(rows, "noise", rival)
        if own:
            gain = [a["int8_accuracy"] - b["int8_accuracy"] for a, b in zip(own, theirs)]
            least = -LOSS_DB if rival == "direct" else 0.0
            lines.append(say(f"noise against {rival}: {mean(gain):+.3f} dB (>= {least:g}; by seed "
                             f"{' '.join(f'{g:+.2f}' for g in gain)})", mean(gain) >= least))
    return lines
