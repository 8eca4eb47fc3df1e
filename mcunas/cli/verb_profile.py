# SPDX-License-Identifier: Apache-2.0
"""The verb profile: a table of layers, a table of kernels, and the same as a section of the report."""
from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from mcunas.cli import options
from mcunas.cli.output import output_folder, print_json, print_table, working

if TYPE_CHECKING:
    from mcunas.device import Image, Profile
    from mcunas.device.profile import Share


def profile(
    model: options.Model,
    board: options.Board = "mps2-an386",
    out: options.Kept = None,
    seed: options.Seed = 0,
    optimize: options.Optimized = options.Optimize.BALANCED,
    tuned: options.Tuned = None,
    engine: options.Engines = options.Engine.AOT,
    port: options.Port = None,
    probe: options.Probe = None,
    json: options.Json = False,
) -> None:
    """Show where instructions and cycles go, by layer and by kernel.

    Executions are counted in QEMU; cycles are a model of the core, with its error. With --port: by the board's own timer.
    TFLM's operators: by the timer of either.

    Example: mcunas profile kws.tflite --board mps2-an386 --optimize cycles
    """
    from mcunas import api, device
    from mcunas.report import content, update_report

    if port or engine is options.Engine.TFLM:
        with output_folder(out) as folder, working("building and running"):
            image = api.build(model, board, folder, optimize=optimize.value, tuned=tuned, engine=engine.value)
            _steps(image, port, probe, seed, f"{model.name} on {image.board.name}", json)
        return
    with output_folder(out) as folder, working("building and counting"):
        image = api.build(model, board, folder, optimize=optimize.value, tuned=tuned)
        found = device.profile(image, seed)
        if out:
            update_report(out, image.tflite, f"{model.name} on {image.board.key}", content.of_profile(found, image),
                          shlex.join(["mcunas", "profile", model.name, "--board", board, "--seed", str(seed), "--optimize",
                                      optimize.value, *(("--tuned", str(tuned)) if tuned else ())]))
    if json:
        print_json(found.to_json())
        return
    _print(found, f"{model.name} on {image.board.name}, --optimize {optimize.value}")


def _steps(image: Image, port: str | None, probe: str | None, seed: int, title: str, json: bool) -> None:
    """A table of the schedule's steps, as the board's timer saw them."""
    from mcunas.device.flash import flash
    from mcunas.device.ports import port_of
    from mcunas.device.step_times import step_times

    found = step_times(image, seed, port_of(image.board, port, probe), lambda other: flash(other, probe=probe))
    if json:
        print_json([one.to_json() for one in found])
        return
    total = sum(one.measured for one in found) or 1
    print_table(("step", "layers", f"{found[0].unit if found else 'cycles'}, measured", "share", "cycles (model)"), [
        (str(one.step), ", ".join(one.layers), f"{one.measured:,}", f"{100 * one.measured / total:.1f} %",
         "–" if one.modelled_cycles is None else f"{one.modelled_cycles:,}") for one in found], title)


def _print(found: Profile, title: str) -> None:
    cycles = f"cycles (model ±{found.error_percent:g} %)"
    rows: list[Any]
    rows = [(f"{one.index} {one.kind}", one.step, f"{one.ram_bytes:,}", *_figures(one, found.total),
             " ".join(one.kernels) or "–") for one in found.layers]
    rows.append(("between the calls", "–", "–", *_figures(found.overhead, found.total), "–"))
    rows.append(("all", "–", "–", *_figures(found.total, found.total), "–"))
    print_table(("layer", "step", "RAM at its step", "MACs", "instructions", "per MAC", cycles, "share", "kernel"), rows,
                title)
    print()
    classes = list(found.total.mix)
    rows = [(name, *(_per(count, one.macs) for count in one.mix.values()), _per(one.instructions, one.macs),
             _per(one.cycles, one.macs), f"{one.instructions:,}")
            for name, one in (*found.kernels.items(), ("all", found.total))]
    print_table(("kernel, per MAC", *classes, "all", "cycles", "instructions"), rows)
    print(f"cycles are {found.cycles_source}; with every timing at its least {found.total.low:,}, at its most "
          f"{found.total.high:,}")


def _figures(one: Share, total: Share) -> tuple[str, ...]:
    return (f"{one.macs:,}", f"{one.instructions:,}", _per(one.instructions, one.macs), f"{one.cycles:,}",
            f"{100 * one.cycles / total.cycles:.1f} %")


def _per(count: int, macs: int) -> str:
    return f"{count / macs:.3f}" if macs else "–"
