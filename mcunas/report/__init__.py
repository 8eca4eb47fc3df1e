# SPDX-License-Identifier: Apache-2.0
"""One run as ``report.json`` (for programs) and ``report.html`` (one file, no network, no script).

A run is a plain dict; every section but the title may be absent and is then left out of the page:

    title, board {key, name, cpu, clock_hz}, model, verdict {ok, text}
    quantities [{name, unit, start, budget, predicted, measured, source}]     RAM, flash, latency, ...
    accuracy {metric, float, int8_host, int8_board, images, measures {name: value on the board}}
    match {inputs, bytes, mismatches}                 output bytes against the tflite-micro interpreter
    history [{phase, loss, validation, ram_bytes, flash_bytes, latency_us}]   one entry per epoch
    budget, start {ram_bytes, flash_bytes, latency_us}                        of the search
    widths [{name, before, after}]                    channels of each coupled group
    choices [{slot, option, feasible [option]}]       of a search in a space
    plan {arena_bytes, steps [label], tensors [{name, offset, bytes, first, last}]}
    stages [{what, arena_bytes, steps, tensors}]      the plan at each stage of compilation
    layers [{name, kind, macs, weight_bytes, instructions}]
    profile {layers, kernels, overhead, total, ...}   where instructions and cycles go: mcunas.device.profile.Profile
    environment {name: version}, commands [line], model_sha256
"""
from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcunas.atomic import write_file
from mcunas.errors import InputError

JSON_NAME, HTML_NAME = "report.json", "report.html"


def write_report(run: Mapping[str, Any], folder: str | Path) -> Path:
    """Write report.json and report.html into `folder`; returns the page's path. Raises OSError."""
    from mcunas.report.page import render

    folder = Path(folder)
    page = render(run)
    write_file(folder / JSON_NAME, json.dumps(run, indent=1, allow_nan=False) + "\n")
    write_file(folder / HTML_NAME, page)
    return folder / HTML_NAME


def update_report(folder: str | Path, model: Path, title: str, sections: Mapping[str, Any], command: str) -> Path:
    """Write what `command` found about the .tflite file `model` into the run in `folder`; returns the page's path.

    Sections that earlier commands wrote about the same model on the same board stay; of another, nothing stays.
    """
    from mcunas.report.environment import environment

    old = earlier(folder, model, sections["board"]["key"])
    commands = [line for line in old.get("commands", ()) if line != command] + [command]
    found = {"environment": environment(), "commands": commands, "model_sha256": _digest(model)}
    return write_report({"title": title, **old, **sections, **found}, folder)


def earlier(folder: str | Path, model: Path, board: str) -> dict[str, Any]:
    """The run that `folder` holds about the same .tflite file on the board of that key; empty if there is none."""
    try:
        run = read_report(folder)
    except InputError:
        return {}
    same = run.get("model_sha256") == _digest(model) and (run.get("board") or {}).get("key") == board
    return run if same else {}


def _digest(model: Path) -> str:
    try:
        return hashlib.sha256(model.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"cannot read the model ({error.strerror})", str(model), "name a .tflite file") from None


def read_report(folder: str | Path) -> dict[str, Any]:
    """The run in `folder`/report.json. Raises InputError if there is none, or if it is not one of ours."""
    path = Path(folder) / JSON_NAME
    try:
        run = json.loads(path.read_text())
    except OSError as error:
        raise InputError(f"there is no report ({error.strerror})", where=str(path),
                         fix="make one with mcunas quickstart, or mcunas validate --out DIR") from None
    except ValueError:
        raise InputError("this is not JSON", where=str(path), fix="run the command that wrote it again") from None
    if not isinstance(run, dict) or "title" not in run:
        raise InputError("this is not a report of mcunas", where=str(path))
    return run
