# SPDX-License-Identifier: Apache-2.0
"""Verbs that train: search, quantize, quickstart; and report, which shows what a run left."""
from __future__ import annotations

from collections.abc import Sequence
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcunas.cli import options
from mcunas.cli.output import print_json, print_quantities
from mcunas.errors import CheckFailed, InputError
from mcunas.quantize.choose import ACTIVATIONS, MODES, WAYS
from mcunas.search.methods import METHODS

if TYPE_CHECKING:
    from mcunas.cli.road import Plan

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.", show_default=False)]
Resume = Annotated[bool, typer.Option("--resume/--no-resume", help="Continue what the folder holds, or start anew.")]
Bits = Annotated[str, typer.Option("--precision", metavar="|".join(MODES), help=(
    "Of the weights; auto: int8, and int4 in as many layers as the flash asks for."))]
Activations = Annotated[str, typer.Option("--activations", metavar="|".join(ACTIVATIONS), show_default=False, help=(
    "What they are rounded to; auto: int16 where int8 costs too much. By default auto with --precision auto, else int8."))]
By = Annotated[str, typer.Option("--by", metavar="|".join(WAYS), help="What tells --precision auto the layers for int4.")]
Smoke = Annotated[bool, typer.Option("--smoke", help="The same road with very little training (about a minute).")]

# A quarter or less of what the starting network needs in each, so that nothing but pruning gets there.
QUICKSTART = {"ram": "2 KiB", "flash": "10 KiB", "latency": "60 ms"}


def search(
    out: options.Out,
    task: options.Task = "digits",
    data: options.Data = None,
    model: options.Start = None,
    board: options.Board = "mps2-an386",
    method: Annotated[str, typer.Option("--method", "-m", metavar="METHOD", help=(
        f"How to search: {', '.join(METHODS)}; or module:shape."))] = "diffprune",
    settings: options.Settings = None,
    ram: options.Ram = None,
    flash: options.Flash = None,
    latency: options.Latency = None,
    blocks_from: options.BlocksFrom = None,
    jobs: options.Jobs = 1,
    cluster: options.Cluster = None,
    storage: options.Storage = None,
    precision: Bits = "int8",
    activations: Activations = "",
    seed: options.Seed = 0,
    smoke: Smoke = False,
    resume: Resume = True,
    json: options.Json = False,
) -> None:
    """Find a network that fits a board, and prove it there.

    Trains and prunes or searches, quantizes, builds, runs on the board's core in QEMU, and writes a report.

    Example: mcunas search --task digits --board mps2-an386 --ram "16 KiB" --out runs/digits
    """
    from mcunas.board import Board
    from mcunas.budget import Budget
    from mcunas.cli.road import Plan
    from mcunas.quantize.choose import Precision

    chosen = Board.load(board)
    budget = Budget(ram, flash, latency)
    budget.for_board(chosen)
    travel_and_show(Plan(data or task, chosen, budget, method, out, seed, smoke, resume, start=model,
                         settings=settings_of(settings or ()), jobs=jobs, blocks_from=blocks_from, cluster=cluster,
                         storage=storage, precision=Precision(precision, activations=activations)), json)


def quickstart(
    board: options.Board = "mps2-an386",
    out: options.Out = Path("runs/quickstart"),
    smoke: Smoke = False,
    json: options.Json = False,
) -> None:
    """Handwritten digits: prune a network that does not fit until it does, and prove it in QEMU.

    Example: mcunas quickstart
    """
    from mcunas.board import Board
    from mcunas.budget import Budget
    from mcunas.cli.road import Plan

    is_finished = (out / "report.json").exists()        # then whoever asks wants to see it run again
    travel_and_show(Plan("digits", Board.load(board), Budget(**QUICKSTART), "diffprune", out, smoke=smoke,
                 resume=not is_finished), json)


def quantize(
    folder: Folder,
    precision: Bits = "int8",
    activations: Activations = "",
    by: By = "hessian",
    flash: options.Flash = None,
    resume: Resume = True,
    json: options.Json = False,
) -> None:
    """Train a finished search's network for int8: model.tflite.

    Example: mcunas quantize runs/digits --precision auto --flash "24 KiB"
    """
    from mcunas.budget import Budget
    from mcunas.quantize import quantize as quantize_result
    from mcunas.quantize.choose import Precision
    from mcunas.search.progress import ProgressBars
    from mcunas.search.result import Result
    from mcunas.tasks.units import written

    with ProgressBars() as bars:
        asked = Precision(precision, by, Budget(flash=flash).flash_bytes, activations=activations)
        model = quantize_result(Result.load(folder), progress=bars, resume=resume, precision=asked)
    if json:
        print_json(model.metrics)
        return
    metric = model.metrics.get("metric", "accuracy")
    before, after = (written(metric, model.metrics[key]) for key in ("float_accuracy", "int8_accuracy"))
    print(f"{metric}: float {before}, int8 {after} on {model.metrics['test_images']} test inputs; "
          f"wrote {folder / 'model.tflite'}")


def report(folder: Folder, json: options.Json = False) -> None:
    """Show what a run found, and write its report.html again.

    Example: mcunas report runs/quickstart
    """
    from mcunas.report import read_report, write_report

    run = read_report(folder)
    write_report(run, folder)
    _show(run, folder, json)


def settings_of(given: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE each; a value is JSON where it reads as that, else text. Raises InputError."""
    found: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not name or not equals:
            raise InputError(f"--set {one!r} is not NAME=VALUE", fix="for example: --set variant=soft")
        try:
            found[name] = loads(value)
        except ValueError:
            found[name] = value
    return found


def travel_and_show(plan: Plan, json: bool) -> None:
    """The whole road, its report, and status 1 where the verdict is no."""
    from mcunas.cli.road import travel

    run = travel(plan)
    _show(run, plan.out, json)
    if not run["verdict"]["ok"]:
        raise CheckFailed(run["verdict"]["text"], where=str(plan.out))


def _show(run: dict[str, Any], folder: Path, json: bool) -> None:
    """The run as JSON, or its headline table, accuracies and verdict."""
    from mcunas.tasks.units import written

    if json:
        print_json(run)
        return
    if run.get("quantities"):
        print_quantities(run["title"], run["quantities"])
    accuracy, match = run.get("accuracy"), run.get("match")
    if accuracy:
        said = [written(accuracy["metric"], accuracy[key]) for key in ("float", "int8_host", "int8_board")]
        print(f"{accuracy['metric']}: float {said[0]}, int8 on host {said[1]}, int8 on the board {said[2]} "
              f"({accuracy['images']} test inputs)")
    if match:
        print(f"mismatching output bytes: {match['mismatches']} of {match['bytes']}, over {match['inputs']} inputs")
    for row in run.get("quantities") or []:
        if row["unit"] == "us" and row["source"]:
            print(f"latency is {row['source']}")
    if run.get("verdict"):
        print(run["verdict"]["text"])
    print(f"report: {folder / 'report.html'}")
