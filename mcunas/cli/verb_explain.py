# SPDX-License-Identifier: Apache-2.0
"""The verb explain: which channels go together in a network, or what a space offers, and what each costs on a board."""
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mcunas.cli import options
from mcunas.cli.output import print_json, print_table, printable
from mcunas.errors import InputError


def explain(
    model: Annotated[Path | None, typer.Argument(metavar="[MODEL.tflite]", help="An int8 .tflite file; or a task instead.",
                                                 show_default=False)] = None,
    task: Annotated[str | None, typer.Option("--task", "-t", metavar="TASK", help="The network that a search of this task "
                                             "starts from.", show_default=False)] = None,
    data: options.Data = None,
    start: options.Start = None,
    space: Annotated[str | None, typer.Option("--space", metavar="NAME", help="The blocks of a space for the task instead: "
                                              "its name, or a .toml file.", show_default=False)] = None,
    board: options.Board = "mps2-an386",
    json: options.Json = False,
) -> None:
    """Print the price of each group's channel, or each slot's option.

    A group's channels must stay alike, so they go together. With --space: every option of every slot of a space.

    Example: mcunas explain --model my_module:build --data my_module:loaders --board mps2-an386
    """
    from mcunas.board import Board
    from mcunas.device.alone import simulated
    from mcunas.prune.explain import explain as price

    chosen = Board.load(board)
    if space and start:
        raise InputError("a space has no network to start from", fix="give --space or --model")
    if (model, task, data).count(None) != 2 or model and (start or space):
        raise InputError("explain needs a .tflite file, --task or --data, one of them",
                         fix="for example: mcunas explain --task digits")
    if space:
        _explain_space(data or task, space, chosen, json)
        return
    found = price(*(_of_file(model) if model else _of_task(data or task, start)), chosen, simulated)  # type: ignore[call-arg]
    if json:
        print_json(found)
        return
    _show(found)


def _of_file(path: Path) -> tuple:
    from mcunas.api import load_model
    from mcunas.compiler.passes import optimize
    from mcunas.prune.graph_groups import graph_groups

    return graph_groups(optimize(load_model(path)[0]).graph)


def _of_task(name: str, start: str | None) -> tuple:
    import torch

    from mcunas import tasks
    from mcunas.graph.torch_lower import lower
    from mcunas.prune.sized import as_deployed, narrowed
    from mcunas.prune.skeleton import skeleton_of
    from mcunas.search.own import demand_matching
    from mcunas.search.run import start_of

    task = tasks.load(name)
    genotype = start_of(task, start)
    net = as_deployed(genotype)
    demand_matching(net, task, genotype.start)
    channels = narrowed(net, genotype)
    height, width, depth = task.input_shape
    lowered = lower(net.eval(), torch.zeros(1, depth, height, width), task.name)
    return channels.groups, channels.frozen, skeleton_of(lowered, channels)


def _explain_space(name: str, space: str, board: Any, json: bool) -> None:
    from mcunas import tasks
    from mcunas.device.alone import simulated
    from mcunas.space.explain import explain as price
    from mcunas.space.space import load

    task = tasks.load(name)
    found = price(load(space, {}, task.input_shape, task.classes), board, simulated)
    if json:
        print_json(found)
        return
    for slot in found["slots"]:
        title = f"{slot['slot']}: {'x'.join(map(str, slot['input']))} to {'x'.join(map(str, slot['output']))}"
        rows = [(o["name"], *(f"{o[key]:,.0f}" for key in ("cycles", "flash_bytes", "ram_bytes"))) for o in slot["options"]]
        print_table(("block", "cycles", "flash B", "RAM B"), rows, title)
    print(f"{found['networks']:,} networks; prices of each block alone on {found['board']}, flash without shared code")


def _show(found: dict[str, Any]) -> None:
    peak = max(found["use"]["live_bytes"])
    rows = []
    for group in found["groups"]:
        steps = group["ram_bytes"]
        shown = ", ".join(f"{op}{'*' if found['use']['live_bytes'][op] == peak else ''}: {size:.0f}"
                          for op, size in steps.items())
        rows.append((group["name"], f"{group['least']}..{group['channels']}", f"{group['flash_bytes']:,.0f}",
                     f"{group['cycles']:,.0f}", f"{group['peak_ram_bytes']:,.0f}", shown or "–",
                     ", ".join(group["members"][1:]) or "–"))
    use = found["use"]
    print(f"per channel removed, on {found['board']}; in all {use['ram_bytes']:,} B RAM, {use['flash_bytes']:,} B flash, "
          f"{use['latency_us'] / 1000:,.2f} ms (modelled)")
    print_table(("group", "width", "flash B", "cycles", "peak RAM B", "RAM B at op", "goes with"), rows)
    for one in found["frozen"]:
        print(f"frozen: {printable(', '.join(one['members']))}: {one['reason']}")
    print("RAM B at op: bytes live there per channel, by index of the op; * where the peak is. Ops: "
          + ", ".join(found["ops"]))
