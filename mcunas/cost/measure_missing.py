# SPDX-License-Identifier: Apache-2.0
"""Measure the code of kernels that a core's table does not have yet: ``python -m mcunas.cost.measure_missing
[--board KEY ...]``.

All other lines, and what a call, a stream and the firmware take, stay as they are.
"""
from __future__ import annotations

import argparse
import tempfile
import tomllib
from pathlib import Path

from mcunas.board import Board
from mcunas.compiler import compile_graph, tables
from mcunas.cost.measure_code import GOALS, Sizes, kernel_line, linked_members, networks, size_of
from mcunas.paths import boards_dir, firmware_dir


def missing(board: Board, goal: str, known: set[str], folder: Path) -> Sizes:
    """kernel -> its sizes, library members without those that the firmware has anyway. Raises ToolMissing, InputError."""
    from mcunas.device import build

    found = {}
    for source in sorted((firmware_dir() / "kernels").glob("*.c")):
        if source.stem not in known and (sizes := size_of(source, board, goal, folder)):
            found[source.stem] = sizes
    if any(members for _, members, _ in found.values()):
        # The first network's only kernel needs no library: what is linked is the firmware's own.
        image = build(compile_graph(next(networks()), board, goal, rewrite=False), board, folder / "image")
        own = linked_members((image.folder / "firmware.map").read_text())
        found = {k: (code, {m: n for m, n in members.items() if m not in own}, params)
                 for k, (code, members, params) in found.items()}
    return found


def completed(text: str, board: Board, folder: Path) -> str:
    """The table with lines for the kernels that it lacks."""
    data, found = tomllib.loads(text), []
    sizes = {name: missing(board, goal, set(data[name]["kernels"]), folder) for name, goal in GOALS.items()}
    head, *sections = text.split("\n[")
    for section in sections:
        title, *lines = section.rstrip("\n").split("\n")
        name, _, what = title.rstrip("]").partition(".")
        if what == "kernels":
            *kernels, default = lines
            lines = [*sorted([*kernels, *(kernel_line(k, *size) for k, size in sizes[name].items())]), default]
        elif what == "members":
            more = {m: n for _, members, _ in sizes[name].values() for m, n in members.items()}
            lines = sorted({*lines, *(f"{m} = {n}" for m, n in more.items() if m not in data[name]["members"])} - {""})
        found.append("\n".join([title, *lines]) + "\n")
    return "\n[".join([head, *found])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", action="append", help="board key; default: one board per core")
    for key in parser.parse_args().board or Board.cores():
        board = Board.load(key)
        path = boards_dir() / "cost" / f"kernels-{board.cost_table}.toml"
        with tempfile.TemporaryDirectory() as folder:
            path.write_text(completed(path.read_text(), board, Path(folder)))
        tables.clear()
        print(path)


if __name__ == "__main__":
    main()
