# SPDX-License-Identifier: Apache-2.0
"""The verb that asks, before any search, which building blocks are worth one on which board."""
from __future__ import annotations

from typing import Annotated

import typer

from mcunas.cli import options
from mcunas.cli.output import print_json, print_table
from mcunas.cli.verbs_search import Smoke

BLOCKS = ["conv3x3", "ds3", "mb3_e3", "ghost"]


def blocks(
    out: options.Out,
    task: options.Task = "digits",
    data: options.Data = None,
    board: Annotated[list[str] | None, typer.Option("--board", "-b", metavar="BOARD", show_default="mps2-an386", help=(
        "A key of `mcunas boards`, or a file; may be repeated."))] = None,
    block: Annotated[list[str] | None, typer.Option("--block", metavar="NAME", show_default=", ".join(BLOCKS), help=(
        "A block to compare; may be repeated."))] = None,
    least: Annotated[int, typer.Option(metavar="CYCLES", help="Of the lightest network, on the first board.")] = 500_000,
    most: Annotated[int, typer.Option(metavar="CYCLES", help="Of the heaviest one.")] = 5_000_000,
    nets: Annotated[int, typer.Option(min=2, help="Networks of each block.")] = 24,
    epochs: Annotated[int, typer.Option(min=1, help="Of training, for each network.")] = 3,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes that train them.")] = 1,
    seed: options.Seed = 0,
    smoke: Smoke = False,
    json: options.Json = False,
) -> None:
    """Compare building blocks: random networks of each, trained alike, and what their fronts say per board and resource.

    Example: mcunas blocks --task digits --board mps2-an386 --board mps2-an385-m0plus --out runs/blocks
    """
    from mcunas import tasks
    from mcunas.board import Board
    from mcunas.cli.road import processes
    from mcunas.search.blockbench.compare import compare
    from mcunas.search.blockbench.verdict import FILE
    from mcunas.search.progress import ProgressBars
    from mcunas.tasks import Schedule

    boards = [Board.load(key) for key in board or ["mps2-an386"]]
    schedule = Schedule(finetune_epochs=epochs, rate=0.05, epoch_samples=6_000)
    if smoke:
        nets, schedule = min(nets, 3), schedule.smoke()
    with ProgressBars() as bars, processes(jobs) as executor:
        found = compare(tasks.load(data or task), boards, block or BLOCKS, out, nets, (least, most), schedule, seed,
                        executor=executor, progress=bars)
    if json:
        print_json(found)
        return
    for key, said in found["boards"].items():
        print_table(("block", *said["axes"]), [(name, *(_cell(axis, name) for axis in said["axes"].values()))
                                               for name in found["networks"]], f"{key}: points of accuracy over the range")
        print(f"worth a search: {', '.join(said['blocks'])}\n")
    print(f"mcunas search --blocks-from {out / FILE} searches with them, mcunas accelerate --blocks-from too")


def _cell(axis: dict, block: str) -> str:
    """Hypervolume and its interval."""
    if not axis["order"]:
        return "–"
    value, low, high = (100 * v for v in axis["hypervolume"][block])
    return f"{value:.1f} ({low:.1f} .. {high:.1f})"
