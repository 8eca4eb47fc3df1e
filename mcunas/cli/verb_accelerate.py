# SPDX-License-Identifier: Apache-2.0
"""The verb for a network that is trained already: exchange its pieces by cheaper ones until it fits."""
from __future__ import annotations

from typing import Annotated

import typer

from mcunas.cli import options
from mcunas.cli.verbs_search import Resume, Smoke, settings_of, travel_and_show


def accelerate(
    out: options.Out,
    teacher: Annotated[str | None, typer.Option("--teacher", metavar="NAME", show_default=False, help="The trained network: "
                                                "module:function that returns yours; or a starting net or a space, which is "
                                                "trained first.")] = None,
    task: options.Task = "digits",
    data: options.Data = None,
    board: options.Board = "mps2-an386",
    ram: options.Ram = None,
    flash: options.Flash = None,
    latency: options.Latency = None,
    settings: options.Settings = None,
    blocks_from: options.BlocksFrom = None,
    jobs: options.Jobs = 1,
    cluster: options.Cluster = None,
    seed: options.Seed = 0,
    smoke: Smoke = False,
    resume: Resume = True,
    json: options.Json = False,
) -> None:
    """Make a trained network fit by exchanging pieces for cheaper blocks.

    The blocks learn what the pieces give, and a program picks what fits and loses least.

    Example: mcunas accelerate --teacher mine:net --data mine:loaders --board mps2-an386 --latency "5 ms" --out runs/mine
    """
    from mcunas.board import Board
    from mcunas.budget import Budget
    from mcunas.cli.road import Plan

    chosen = Board.load(board)
    budget = Budget(ram, flash, latency)
    budget.for_board(chosen)
    travel_and_show(Plan(data or task, chosen, budget, "lana", out, seed, smoke, resume, start=teacher,
                         settings=settings_of(settings or ()), jobs=jobs, blocks_from=blocks_from, cluster=cluster), json)
