# SPDX-License-Identifier: Apache-2.0
"""A table of networks of a small space, trained by distillation: what the searches of asktell_trade and asktell_mnas
look up instead of training. The first of them builds it, docs/results/asktell-table.json.

Fashion-MNIST; two stages, each of four block families, three widths and one or two layers: 576 points. Each is trained once,
from one seed, under one teacher; its accuracy on the validation split and its exact prices are a row. The searches pay an
evaluation per row that they look up. Begun anew it goes on.
"""
from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mcunas.atomic import write_file
from mcunas.board import Board
from mcunas.device.alone import simulated
from mcunas.search.asktell.evaluate import ByTraining
from mcunas.search.asktell.fidelity import Fidelity
from mcunas.search.nas.run import faster, sgd
from mcunas.space import space as spaces
from mcunas.space.factored import Factored
from mcunas.space.price import Prices
from mcunas.tasks import Schedule, Task
from mcunas.tasks.training import batches, cosine, score, steps_per_epoch, train_epoch
from tests.bench import nas_contest as contest
from tests.bench.measure import RESULTS, ROOT

FOLDER = ROOT / "build" / "bench-asktell"
FILE = RESULTS / "asktell-table.json"
QUICK = FOLDER / "asktell-table-quick.json"
SPACE = {"stem": {"kernel": [3, 3], "channels": 8, "stride": [2, 2]},
         "stages": [{"channels": 16, "stride": 2, "slots": 2}, {"channels": 32, "stride": 2, "slots": 2}]}
FACTORS = {"op": ("conv", "ds", "mb2", "ghost"), "width": (0.5, 0.75, 1.0)}
SCHEDULE = Schedule(prune_epochs=0, finetune_epochs=5, batch=64, rate=0.05, epoch_samples=2_048)
FIDELITY = Fidelity("scratch", epochs=5)
SEED = 0
FEW = 64                # of a quick one, by lot; the others are none of the contest
TEACHER = {"stem": {"kernel": [3, 3], "channels": 16, "stride": [2, 2]}, "options": ["conv3x3"],
           "stages": [{"channels": 32, "stride": 2, "slots": 2}, {"channels": 64, "stride": 2, "slots": 2}]}
TEACHER_EPOCHS, TEACHER_SAMPLES = 12, 6_000
COLUMNS = ("accuracy", "cycles", "ram_bytes", "flash_bytes")


@cache
def task() -> Task:
    return contest.fashion_mnist().sealed()


def factored() -> Factored:
    return Factored(spaces.load("images", SPACE, (28, 28, 1), 10), FACTORS)


def teacher() -> tuple[nn.Module, dict[str, Any]]:
    """(in evaluation mode, what it took); trained once."""
    path = FOLDER / "teacher.pt"
    space = spaces.load("images", TEACHER, (28, 28, 1), 10)
    torch.manual_seed(SEED)
    net = faster(space.uniform("conv3x3").build_dense())
    if path.exists():
        kept = torch.load(path, weights_only=True)
        net.load_state_dict(kept["net"])
        return net.eval(), kept["figures"]
    started, schedule = time.process_time(), replace(SCHEDULE, epoch_samples=TEACHER_SAMPLES)
    optimizer, steps = sgd(list(net.parameters()), schedule), steps_per_epoch(task(), schedule)
    for epoch in range(TEACHER_EPOCHS):
        train_epoch(net, optimizer, batches(task(), schedule, SEED, epoch),
                    lambda step, epoch=epoch: cosine((epoch + step / steps) / TEACHER_EPOCHS, schedule.rate))
    figures = {"accuracy": score(net, task(), task().validation), "samples": TEACHER_EPOCHS * steps * schedule.batch,
               "cpu_seconds": time.process_time() - started}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"net": net.state_dict(), "figures": figures}, path)
    return net.eval(), figures


def file() -> Path:
    """Of the table, or of a quick one where there is no other."""
    return FILE if FILE.exists() else QUICK


def build(stop: Callable[..., None], quick: bool = False) -> None:
    """Write the table unless it is there. stop: called after each network, may raise TimeUp. quick: of few networks."""
    if FILE.exists():
        return
    torch.set_num_threads(1)
    space, kept, started = factored(), FOLDER / "table.json", time.process_time()
    rows: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    net, of_teacher = teacher()
    evaluate = ByTraining(task(), SCHEDULE, net)
    prices = Prices(space.space, Board.load(contest.M4), contest.RAM_BYTES, simulated)
    points = space.genes.points()
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(0)).tolist()
    for at in order[:FEW if quick else None]:
        if str(at) in rows:
            continue
        genotype = space.genotype(points[at])
        cost, found = prices.exact(genotype), evaluate(genotype, FIDELITY, SEED)
        rows[str(at)] = [found["accuracy"], round(cost.cycles), cost.ram_bytes, cost.flash_bytes, found["samples"],
                         round(found["cpu_seconds"], 3)]
        if len(rows) % 8 == 0:
            write_file(kept, json.dumps(rows))
            print(f"table: {len(rows)} of {space.genes.count}, {time.process_time() - started:.0f} s", flush=True)
        stop()
    write_file(kept, json.dumps(rows))
    said = {"genes": {g: list(v) for g, v in space.genes.options.items()}, "columns": COLUMNS, "teacher": of_teacher,
            "samples_each": next(iter(rows.values()))[4], "cpu_seconds": round(sum(r[5] for r in rows.values())),
            "rows": [rows[str(at)][:4] if str(at) in rows else None for at in range(len(points))]}
    write_file(QUICK if quick else FILE, json.dumps(said, separators=(",", ":")).replace("],[", "],\n[") + "\n")
