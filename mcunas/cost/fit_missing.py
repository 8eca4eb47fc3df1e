# SPDX-License-Identifier: Apache-2.0
"""Fit the kernels that a core's table does not have yet: ``python -m mcunas.cost.fit_missing [--board KEY ...]``.

Only layers that one of them may compute are run; all other lines, and the errors at the head, stay as they are.
"""
from __future__ import annotations

import argparse
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from mcunas.board import Board
from mcunas.compiler.lower import candidates
from mcunas.compiler.tables import clear
from mcunas.cost.fit import Sample, line_of, measured
from mcunas.cost.fit_layers import layers
from mcunas.paths import boards_dir


def missing(board: Board, text: str) -> dict[str, list[Sample]]:
    """kernel -> the layers that it computed, of kernels that the table `text` lacks. Raises ToolMissing, InputError."""
    known, graphs = set(tomllib.loads(text)["instructions"]), []
    for graph in layers():
        calls = [call for found in candidates(graph, graph.ops[0], board.isa).values() for call in found]
        if {call.kernel for call in calls} - known:
            graphs.append(graph)
    with tempfile.TemporaryDirectory() as name:
        rows = measured(graphs, board, Path(name)) if graphs else {}
    return {kernel: samples for kernel, samples in rows.items() if kernel not in known}


def completed(text: str, rows: Mapping[str, Sequence[Sample]]) -> str:
    """The table with these kernels' lines among the others."""
    head, *sections = text.split("\n[")
    if rows:
        count = sum(map(len, rows.values()))
        head = head.replace("layers run in QEMU", f"layers run in QEMU, {', '.join(sorted(rows))} on {count} more", 1)
    found = [head]
    for section in sections:
        title, *lines = section.rstrip("\n").split("\n")
        lines += [line_of(kernel, samples, title.rstrip("]"))[0] for kernel, samples in rows.items()]
        found.append("\n".join([title, *sorted(lines)]) + "\n")
    return "\n[".join(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", action="append", help="board key; default: one board per core")
    for key in parser.parse_args().board or Board.cores():
        board = Board.load(key)
        path = boards_dir() / "cost" / f"instructions-{board.cost_table}.toml"
        rows = missing(board, path.read_text())
        path.write_text(completed(path.read_text(), rows))
        clear()
        print(f"{path}: {', '.join(sorted(rows)) or 'nothing is missing'}")


if __name__ == "__main__":
    main()
