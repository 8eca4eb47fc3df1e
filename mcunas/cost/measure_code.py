# SPDX-License-Identifier: Apache-2.0
"""Measure what kernels take of flash on a core: ``python -m mcunas.cost.measure_code [--board KEY ...]``.

Compiles every firmware/kernels/*.c with the firmware's own flags and writes boards/cost/kernels-<core>.toml: bytes of
code and read-only data per kernel, and of one parameter struct. Also builds a small model's model.c twice, with one and
with nine calls, to learn what the model itself and each call cost.
"""
from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from mcunas.board import Board
from mcunas.compiler.emit import emit_header, emit_source
from mcunas.compiler.plan import plan
from mcunas.errors import InputError, ToolMissing
from mcunas.graph.ir import Graph, Op, Quant, Tensor
from mcunas.paths import boards_dir, firmware_dir

FLAGS = ("-O2", "-std=c11", "-masm-syntax-unified", "-ffunction-sections", "-fdata-sections")
PREFIX = "arm-none-eabi-"


def _run(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        raise ToolMissing(f"{command[0]} is not installed", fix="run make setup") from None
    except subprocess.CalledProcessError as error:
        raise InputError(f"{command[0]} failed: {error.stderr.strip().splitlines()[:1]}") from None


def _flash_bytes(source: Path, board: Board, folder: Path) -> int:
    """Bytes of .text, .rodata and .data of a source compiled for the board, each section padded to words."""
    output = str(folder / "object.o")
    _run(PREFIX + "gcc", *board.cflags, *FLAGS, f"-I{firmware_dir() / 'kernels'}", f"-I{folder}", "-c", str(source),
         "-o", output)
    sections = re.findall(r"^(\.(?:text|rodata|data)\S*)\s+(\d+)", _run(PREFIX + "size", "-A", output), re.M)
    return sum(-(-int(size) // 4) * 4 for _, size in sections)


def _library_bytes(kernel: str, own_bytes: int, board: Board, folder: Path) -> int:
    """What the last compiled source pulls in from the compiler's libraries (64-bit products on small cores and such)."""
    linked = str(folder / "linked.elf")
    _run(PREFIX + "gcc", *board.cflags, "-nostartfiles", "-Wl,--gc-sections", f"-Wl,-e,{kernel}",
         str(folder / "object.o"), "-o", linked)
    sections = re.findall(r"^(\.(?:text|rodata|data))\s+(\d+)", _run(PREFIX + "size", "-A", linked), re.M)
    return max(sum(int(size) for _, size in sections) - own_bytes, 0)


def _params_bytes(kernel: str, board: Board, folder: Path) -> int:
    probe = folder / "probe.c"
    probe.write_text(f'#include "mn_kernels.h"\nconst char probe[sizeof(struct {kernel})] = {{1}};\n')
    return _flash_bytes(probe, board, folder)


def _model_bytes(calls: int, board: Board, folder: Path) -> int:
    """Flash of model.c for `calls` copies of a table-free op, without its parameter structs."""
    quant = Quant.of(0.1, 0)
    tensors = tuple(Tensor(f"t{i}", (1, 4, 4, 4), "int8", quant) for i in range(calls + 1))
    attrs = {"filter_h": 1, "filter_w": 1, "stride_h": 1, "stride_w": 1, "padding": "VALID", "activation": "NONE"}
    ops = tuple(Op("MAX_POOL_2D", (i,), (i + 1,), attrs) for i in range(calls))
    graph = Graph(tensors, ops, (0,), (calls,))
    planned = plan(graph, board.isa)
    (folder / "model.h").write_text(emit_header(graph, planned, "model"))
    (folder / "model.c").write_text(emit_source(graph, planned, "model"))
    return _flash_bytes(folder / "model.c", board, folder)


def measure(board: Board) -> str:
    """The table as TOML text. Raises ToolMissing or InputError."""
    lines = ["# SPDX-License-Identifier: Apache-2.0",
             "# Written by python -m mcunas.cost.measure_code. Bytes of flash: a kernel's own code, what it pulls in from",
             "# the compiler's libraries (shared between kernels), one parameter struct."]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sizes = {}
        for source in sorted((firmware_dir() / "kernels").glob("*.c")):
            try:
                code = _flash_bytes(source, board, folder)
                library = _library_bytes(source.stem, code, board, folder)
                sizes[source.stem] = (code, library, _params_bytes(source.stem, board, folder))
            except InputError as error:         # a kernel for another instruction set
                lines.append(f"# {source.stem}: {error}")
        params = sizes["mn_max_pool_s8"][2]
        one, many = (_model_bytes(calls, board, folder) - calls * params for calls in (1, 9))
        call_bytes = round((many - one) / 8)
        compiler = _run(PREFIX + "gcc", "--version").splitlines()[0]
    lines += [f'source = "compiled with {compiler}, {" ".join((*board.cflags, *FLAGS[:1]))}"',
              f"model_bytes = {one - call_bytes}", f"call_bytes = {call_bytes}", "", "[kernels]"]
    sizes["default"] = tuple(int(np.median([s[i] for s in sizes.values()])) for i in range(3))
    lines += [f"{k} = {{ code = {c}, library = {lib}, params = {p} }}" for k, (c, lib, p) in sizes.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", action="append", help="board key; default: one board per core")
    for key in parser.parse_args().board or Board.keys():
        board = Board.load(key)
        path = boards_dir() / "cost" / f"kernels-{board.cost_table}.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(measure(board))
        print(path)


if __name__ == "__main__":
    main()
