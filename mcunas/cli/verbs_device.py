# SPDX-License-Identifier: Apache-2.0
"""Verbs that build firmware and run it: build, run, validate, tune."""
from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcunas.cli import options
from mcunas.cli.output import kib, output_folder, print_json, print_quantities, print_table, printable, working
from mcunas.errors import CheckFailed

if TYPE_CHECKING:
    from mcunas.tasks import Task


def build(
    model: options.Model,
    out: options.Out,
    board: options.Board = "mps2-an386",
    ram: options.Ram = None,
    flash: options.Flash = None,
    optimize: options.Optimized = options.Optimize.BALANCED,
    tuned: options.Tuned = None,
    engine: options.Engines = options.Engine.AOT,
    json: options.Json = False,
) -> None:
    """Turn an int8 .tflite into firmware: ELF, bin, hex and manifest.

    Example: mcunas build kws.tflite --board mps2-an386 --out build/kws
    """
    from mcunas import api
    from mcunas.budget import Budget

    image = api.build(model, board, out, budget=Budget(ram, flash), optimize=optimize.value, tuned=tuned,
                      engine=engine.value)
    if json:
        print_json(image.manifest)
        return
    figures = image.manifest["build"]
    print_table((model.name, "bytes", ""), [
        ("arena (RAM)", f"{figures['arena_bytes']:,}", kib(figures["arena_bytes"])),
        ("image (flash)", f"{figures['flash_bytes']:,}", kib(figures["flash_bytes"])),
        ("of it weights", f"{image.manifest['weight_bytes']:,}", kib(image.manifest["weight_bytes"])),
    ])
    print(f"wrote {image.elf.name}, {image.bin.name}, {image.hex.name}, manifest.json and sbom.cdx.json to {out}")


def run(
    model: options.Model,
    board: options.Board = "mps2-an386",
    input: Annotated[
        list[Path] | None, typer.Option(metavar="FILE.npy", help="One per input tensor; random if left out.")
    ] = None,
    seed: options.Seed = 0,
    optimize: options.Optimized = options.Optimize.BALANCED,
    tuned: options.Tuned = None,
    engine: options.Engines = options.Engine.AOT,
    json: options.Json = False,
) -> None:
    """Run one inference on the board's core and print the outputs.

    Example: mcunas run kws.tflite --board mps2-an386 --input features.npy
    """
    from mcunas import api, device
    from mcunas.device.random_input import random_inputs

    with output_folder(None) as folder, working("building and running"):
        image = api.build(model, board, folder, optimize=optimize.value, tuned=tuned, engine=engine.value)
        if input:
            arrays = [api.load_array(path) for path in input]
        else:
            arrays = random_inputs(seed, [(tuple(t["shape"]), t["dtype"]) for t in image.manifest["inputs"]])
        outputs = device.run(image, arrays)
    named = [{"name": t["name"], "dtype": t["dtype"], "shape": t["shape"], "scale": t["scale"],
              "zero_point": t["zero_point"], "values": array.ravel().tolist()}
             for t, array in zip(image.manifest["outputs"], outputs)]
    if json:
        print_json({"board": image.board.key, "model": image.manifest["model"], "outputs": named})
        return
    print_table(("output", "type", "values"), [
        (o["name"], f"{o['dtype']} {tuple(o['shape'])}",
         " ".join(map(str, o["values"][:16])) + (" ..." if len(o["values"]) > 16 else "")) for o in named])


def validate(
    model: options.Model,
    board: options.Board = "mps2-an386",
    out: options.Kept = None,
    inputs: Annotated[int, typer.Option(min=1, max=100_000, help="How many random inputs.")] = 20,
    seed: options.Seed = 0,
    task: Annotated[str | None, typer.Option("--task", "-t", metavar="TASK", show_default=False, help=(
        "Its validation images instead of random inputs, and its metric."))] = None,
    ram: options.Ram = None,
    flash: options.Flash = None,
    latency: options.Latency = None,
    optimize: options.Optimized = options.Optimize.BALANCED,
    tuned: options.Tuned = None,
    engine: options.Engines = options.Engine.AOT,
    port: options.Port = None,
    probe: options.Probe = None,
    json: options.Json = False,
) -> None:
    """Prove a model on its board: output bytes, RAM, flash, cycles.

    Output bytes are compared with tflite-micro's.

    Example: mcunas validate kws.tflite --board mps2-an386 --json
    """
    from mcunas import api, device
    from mcunas.board import Board
    from mcunas.budget import Budget
    from mcunas.device.flash import flash as put_into
    from mcunas.device.ports import port_of
    from mcunas.device.proof import prove
    from mcunas.report import content, earlier, update_report
    from mcunas.tasks import units

    run = earlier(out, model, Board.load(board).key) if out else {}
    kept = run.get("budget") or {}      # a search's own budget holds where no other is given
    limits = Budget(*(kept.get(key) if given is None else given for key, given in (
        ("ram_bytes", ram), ("flash_bytes", flash), ("latency_us", latency))))
    with output_folder(out) as folder:
        with working("building"):
            of, decoder = (None, None) if task is None else _task_and_decoder(task, model)
            image = api.build(model, board, folder, budget=limits, optimize=optimize.value, tuned=tuned, decoder=decoder,
                              engine=engine.value)
        with working(f"running {inputs} inputs on {image.board.name}"):
            found = port_of(image.board, port, probe)
            proof = None if of is None else prove(image, of, of.validation[:inputs], port=found)
            report = proof.report if proof else device.validate(
                image, n_random=inputs, seed=seed, port=found, flash=lambda other: put_into(other, probe=probe))
        sections = content.of_validation(report, image, limits.for_board(image.board), run.get("start"))
        if out:
            written = {**sections, **content.of_model(image, run.get("accuracy"))}
            update_report(out, image.tflite, f"{model.name} on {image.board.key}", written, shlex.join(
                ["mcunas", "validate", model.name, "--board", board, "--inputs", str(inputs), "--seed", str(seed),
                 "--optimize", optimize.value, *(("--tuned", str(tuned)) if tuned else ()),
                 *(("--engine", "tflm") if image.is_tflm else ()),
                 *(("--task", task) if task else ())]))
    verdict = sections["verdict"]
    if json:
        measured = {"on_board": proof.on_board, "on_host": proof.on_host} if proof else {}
        print_json({**report.to_json(), "passed": verdict["ok"], "verdict": verdict["text"], **measured})
    else:
        print_quantities(f"{model.name} on {image.board.name}", sections["quantities"])
        print(f"{report.mismatches} of {sections['match']['bytes']} output bytes differ, over {report.inputs} inputs")
        for name in proof.on_board if proof else ():
            on_host, on_board = (units.written(name, found[name]) for found in (proof.on_host, proof.on_board))
            print(f"{name}: on the host {on_host}, on the board {on_board} ({report.inputs} validation inputs)")
        if where := report.located:
            print(f"the first difference is in op {where.op} {where.kind} ({printable(where.name)}) at {where.index}: "
                  f"{where.found} instead of {where.expected}; its step runs ops {', '.join(map(str, where.step_ops))}")
        if report.not_located:
            print(f"the layer was not looked for: {report.not_located}")
        if report.retries:
            print(f"the serial line cost {len(report.retries)} retries; the first: {report.retries[0]}")
        print(f"cycles and latency are {report.cycles_source}")
    if not verdict["ok"]:
        raise CheckFailed(verdict["text"], where=model.name)


def _task_and_decoder(name: str, model: Path) -> tuple[Task, Any]:
    """The task, and how a firmware of `model` decodes its answers itself. Raises InputError."""
    from mcunas import api, tasks
    from mcunas.device.proof import decoder_of

    task = tasks.load(name)
    return task, decoder_of(api.load_model(model)[0], task)


def tune(
    model: options.Model,
    out: options.Out,
    board: options.Board = "mps2-an386",
    optimize: options.Optimized = options.Optimize.CYCLES,
    json: options.Json = False,
) -> None:
    """Measure layers' kernel variants; keep the best for --tuned.

    Example: mcunas tune kws.tflite --board mps2-an386 --out build/kws
    """
    from json import dumps

    from mcunas import api
    from mcunas.atomic import write_file
    from mcunas.board import Board
    from mcunas.device.tune import tune as measure
    from mcunas.search.progress import ProgressBars

    chosen = Board.load(board)
    graph, _ = api.load_model(model)
    with ProgressBars() as bars:
        graph, choice = measure(graph, chosen, optimize.value, lambda done, of: bars("tune", done, of, {}))
    found = choice.to_json(graph)
    path = out / "tuned.json"
    write_file(path, dumps(found, indent=1) + "\n")
    if json:
        print_json(found)
        return

    def shown(count: int | None) -> str:
        return "–" if count is None else f"{count:,}"

    print_table(("layer", "variant", "cycles (model)", "others"), [
        (f"{layer['index']} {layer['kind']}", layer["variant"], shown(layer["cycles"].get(layer["variant"])),
         ", ".join(f"{v} {n:,}" for v, n in layer["cycles"].items() if v != layer["variant"]))
        for layer in found["layers"]])
    print(f"wrote {path}; use it with --tuned {path} --optimize {optimize.value}")
