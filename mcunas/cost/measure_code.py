# SPDX-License-Identifier: Apache-2.0
"""Measure what code takes of flash on a core: ``python -m mcunas.cost.measure_code [--board KEY ...]``.

Compiles every firmware/kernels/*.c with the firmware's own flags and writes boards/cost/kernels-<core>.toml, a section
for each level of optimization: bytes of code and read-only data per kernel, what it pulls in from the compiler's
libraries, one parameter struct. Also builds firmware around a few small networks: what is left of their images is the
firmware's own share, and so much per call, per stream and per stage of a stream. A link of the whole program (-Os) lets
kernels share functions: there the networks tell, too, how much of its code a kernel adds to a larger one's.
"""
from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from mcunas.board import Board
from mcunas.compiler import OPTIMIZE, compile_graph, tables
from mcunas.compiler.goals import level
from mcunas.cost.estimate import constant_bytes
from mcunas.cost.regression import nonnegative
from mcunas.errors import DoesNotFit, InputError, ToolMissing
from mcunas.graph.ir import Graph, Op, Quant, Tensor
from mcunas.paths import boards_dir, firmware_dir

FLAGS = ("-std=c11", "-masm-syntax-unified", "-ffunction-sections", "-fdata-sections")
PREFIX = "arm-none-eabi-"
GOALS = {level(goal): goal for goal in ("balanced", "cycles", "flash")}     # section -> a goal that it prices
Sizes = dict[str, tuple[int, dict[str, int], int]]      # kernel -> code, library members, parameter struct


def _run(*command: str, cwd: Path | None = None) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=cwd).stdout
    except FileNotFoundError:
        raise ToolMissing(f"{command[0]} is not installed", fix="run make setup") from None
    except subprocess.CalledProcessError as error:
        raise InputError(f"{command[0]} failed: {error.stderr.strip().splitlines()[:1]}") from None


def _flash_bytes(source: Path, board: Board, goal: str, folder: Path) -> int:
    """Bytes of .text, .rodata and .data of a source compiled for the board, each section padded to words."""
    output = str(folder / "object.o")
    _run(PREFIX + "gcc", *board.cflags, OPTIMIZE[goal][0], *FLAGS, f"-I{firmware_dir() / 'kernels'}", f"-I{folder}",
         "-c", str(source), "-o", output)
    sections = re.findall(r"^(\.(?:text|rodata|data)\S*)\s+(\d+)", _run(PREFIX + "size", "-A", output), re.M)
    return sum(-(-int(size) // 4) * 4 for _, size in sections)


def _libraries(kernel: str, board: Board, goal: str, folder: Path) -> dict[str, int]:
    """Members of the compiler's libraries that the last compiled source pulls in (64-bit products on small cores and
    such), with their bytes."""
    from mcunas.device.objects import SMALL_LIBRARY

    own = [str(firmware_dir() / "platform" / f"{SMALL_LIBRARY}.c")] if "-Os" in OPTIMIZE[goal] else []
    _run(PREFIX + "gcc", *board.cflags, "-nostartfiles", "-Wl,--gc-sections", f"-Wl,-e,{kernel}", "-Wl,-Map=linked.map",
         "object.o", *own, "-o", "linked.elf", cwd=folder)
    return linked_members((folder / "linked.map").read_text())


def linked_members(linker_map: str) -> dict[str, int]:
    """Library member -> bytes of flash that the linker kept of it."""
    kept = linker_map.partition("Linker script and memory map")[2]
    found: dict[str, int] = {}
    section = r"^ \.(?:text|rodata|data)\S*\s+0x[0-9a-f]+\s+0x([0-9a-f]+) \S+\.a\((\S+)\.o\)$"
    for size, member in re.findall(section, kept, re.MULTILINE):
        found[member] = found.get(member, 0) + int(size, 16)
    return {member: size for member, size in found.items() if size}


def _params_bytes(kernel: str, board: Board, goal: str, folder: Path) -> int:
    probe = folder / "probe.c"
    probe.write_text(f'#include "mn_kernels.h"\nconst char probe[sizeof(struct {kernel})] = {{1}};\n')
    return _flash_bytes(probe, board, goal, folder)


def networks() -> Iterator[Graph]:
    """Chains of layers that are compiled to different numbers of calls, of streams, and of stages."""
    shapes = [("LOGISTIC",), ("MAX_POOL_2D",), ("MAX_POOL_2D",) * 9, ("CONV_2D",) * 2, ("CONV_2D",) * 5,
              ("CONV_2D", "DEPTHWISE_CONV_2D") * 4, ("FULLY_CONNECTED",) * 6,
              ("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D") * 3,
              (*("CONV_2D", "DEPTHWISE_CONV_2D") * 2, "MAX_POOL_2D", "FULLY_CONNECTED", "LOGISTIC"),
              ("CONV_2D", "MAX_POOL_2D", "CONV_2D", "FULLY_CONNECTED", "FULLY_CONNECTED")]
    for n, kinds in enumerate(shapes):
        yield chain(kinds, side=6 + 5 * n % 24, channels=(4, 24, 4, 12)[n % 4:] + (8, 16))


def chain(kinds: Sequence[str], side: int, channels: Sequence[int]) -> Graph:
    """One layer after the other; 3x3 windows, random weights, channels in turn."""
    random, quant = np.random.default_rng(len(kinds)), Quant.of(0.05, -128)
    tensors, ops = [Tensor("x", (1, side, side, channels[0]), "int8", quant)], []
    pool = {"stride_h": 1, "stride_w": 1, "padding": "SAME", "activation": "RELU"}
    window = {**pool, "dilation_h": 1, "dilation_w": 1}
    attrs = {"CONV_2D": window, "DEPTHWISE_CONV_2D": {**window, "depth_multiplier": 1},
             "MAX_POOL_2D": {**pool, "filter_h": 2, "filter_w": 2},
             "FULLY_CONNECTED": {"activation": "NONE", "keep_dims": False}, "LOGISTIC": {}}
    last = 0
    for n, kind in enumerate(kinds):
        x = tensors[last].shape
        inputs, out = x[-1], channels[(n + 1) % len(channels)]
        flat = int(np.prod(x))
        weight = {"CONV_2D": (out, 3, 3, inputs), "DEPTHWISE_CONV_2D": (1, 3, 3, inputs), "FULLY_CONNECTED": (out, flat)}
        shape = {"CONV_2D": (*x[:-1], out), "FULLY_CONNECTED": (1, out)}.get(kind, x)
        operands = [last]
        if kind in weight:
            axis = 3 if kind == "DEPTHWISE_CONV_2D" else 0
            count = weight[kind][axis]
            scale = random.uniform(0.001, 0.002, count).astype(np.float32)
            for name, size, dtype, step in (("w", weight[kind], "int8", scale), ("b", (count,), "int32", scale * 0.05)):
                values = random.integers(-127, 128, size).astype(dtype)
                per_channel = Quant(step.astype(np.float32), np.zeros(count, np.int64), axis if name == "w" else 0)
                operands.append(len(tensors))
                tensors.append(Tensor(f"{name}{n}", size, dtype, per_channel, values))
        last = len(tensors)
        tensors.append(Tensor(f"y{n}", shape, "int8", Quant.of(1 / 256, -128) if kind == "LOGISTIC" else quant))
        ops.append(Op(kind, tuple(operands), (last,), attrs[kind]))
    return Graph(tuple(tensors), tuple(ops), (0,), (last,))


def _overheads(board: Board, goal: str, sizes: Sizes, folder: Path) -> tuple[dict[str, int], set[str]]:
    """(what images hold besides tables, parameters, kernels and their libraries: firmware, and so much per call, stream
    and stage, and percent of kernels' code beyond the largest; library members that the firmware has anyway)."""
    from mcunas.device import build

    own: set[str] | None = None
    rows, left, images, is_whole_program = [], [], [], "-flto" in OPTIMIZE[goal]
    for graph, planned in product(networks(), (goal, "ram")):       # plans for RAM are rich in streams
        try:
            compiled = replace(compile_graph(graph, board, planned, rewrite=False), optimize=goal)
        except DoesNotFit:                                  # a small board measures the small ones
            continue
        image = build(compiled, board, folder / "image")
        linked = linked_members((image.folder / "firmware.map").read_text())
        own = set(linked) if own is None else own           # the first network's only kernel needs no library
        schedule = compiled.plan.schedule
        calls = [call for found in schedule.program.calls for call in found]
        known = constant_bytes(schedule) + sum(sizes[c.kernel][2] for c in calls)
        codes = sorted(sizes[k][0] for k in compiled.kernels)
        further = sum(codes[:-1]) if is_whole_program else 0
        known += sum(codes) - further + sum(n for m, n in linked.items() if m not in own)
        streams = [step.stream for step in schedule.steps if step.stream]
        rows.append((1, len(calls), len(streams), sum(len(s.ops) for s in streams), further / 100))
        images.append(image.manifest["build"]["flash_bytes"])
        left.append(images[-1] - known)
    weights = 1 / np.array(images)                          # relative errors
    found = nonnegative(np.array(rows) * weights[:, None], np.array(left) * weights)
    found[-1] = found[-1] if is_whole_program else 100
    return dict(zip(("firmware", "call", "stream", "stage", "further"), (round(float(v)) for v in found))), own or set()


def size_of(source: Path, board: Board, goal: str, folder: Path) -> tuple[int, dict[str, int], int] | None:
    """Of a kernel; None for one of another instruction set."""
    code = _flash_bytes(source, board, goal, folder)
    if not code:
        return None
    return code, _libraries(source.stem, board, goal, folder), _params_bytes(source.stem, board, goal, folder)


def _sizes(board: Board, goal: str, folder: Path) -> Sizes:
    sizes: Sizes = {}
    for source in sorted((firmware_dir() / "kernels").glob("*.c")):
        if found := size_of(source, board, goal, folder):
            sizes[source.stem] = found
    usual_code, usual_params = (int(np.median([s[i] for s in sizes.values()])) for i in (0, 2))
    return sizes | {tables.DEFAULT: (usual_code, {}, usual_params)}


def measure(board: Board, path: Path) -> None:
    """Write the table to `path`. Raises ToolMissing or InputError."""
    with tempfile.TemporaryDirectory() as name:
        sizes = {section: _sizes(board, goal, Path(name)) for section, goal in GOALS.items()}
        # The compiler chooses kernels by their sizes, so these come first.
        path.write_text(_head(board) + "".join(_section(s, board, found, {}, set()) for s, found in sizes.items()))
        tables.clear()
        whole = [_section(s, board, found, *_overheads(board, GOALS[s], found, Path(name))) for s, found in sizes.items()]
    path.write_text(_head(board) + "".join(whole))
    tables.clear()


def _head(board: Board) -> str:
    compiler = _run(PREFIX + "gcc", "--version").splitlines()[0]
    return "\n".join(["# SPDX-License-Identifier: Apache-2.0",
                      "# Written by python -m mcunas.cost.measure_code. Bytes of flash per level of optimization: code of",
                      "# a kernel, a parameter struct; members of libraries, each linked once; model.c per call, stream,",
                      "# stage; percent of its code that a kernel adds to a larger one.",
                      f'source = "compiled with {compiler}, {" ".join(board.cflags)}"']) + "\n"


def _section(section: str, board: Board, sizes: Sizes, found: dict[str, int], own: set[str]) -> str:
    members = {m: n for _, needed, _ in sizes.values() for m, n in needed.items() if m not in own}
    lines = ["", f"[{section}]", *(f"{what}_bytes = {found.get(what, 0)}" for what in ("call", "stream", "stage"))]
    lines += [f"further_percent = {found.get('further', 100)}", "", f"[{section}.firmware]"]
    lines += [f"{board.key} = {found['firmware']}"] if found else []
    lines += ["", f"[{section}.members]", *(f"{m} = {n}" for m, n in sorted(members.items())), "", f"[{section}.kernels]"]
    for kernel, (code, needed, params) in sizes.items():
        lines.append(kernel_line(kernel, code, {m: n for m, n in needed.items() if m not in own}, params))
    return "\n".join(lines) + "\n"


def kernel_line(kernel: str, code: int, members: dict[str, int], params: int) -> str:
    names = ", ".join(f'"{m}"' for m in members)
    return f"{kernel} = {{ code = {code}, params = {params}, members = [{names}] }}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", action="append", help="board key; default: one board per core")
    for key in parser.parse_args().board or Board.cores():
        board = Board.load(key)
        path = boards_dir() / "cost" / f"kernels-{board.cost_table}.toml"
        path.parent.mkdir(exist_ok=True)
        measure(board, path)
        print(path)


if __name__ == "__main__":
    main()
