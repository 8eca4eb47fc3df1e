# SPDX-License-Identifier: Apache-2.0
"""Measure what code takes of flash on a core: ``python -m mcunas.cost.measure_code [--board KEY ...]``.

Compiles every firmware/kernels/*.c with the firmware's own flags and writes boards/cost/kernels-<core>.toml: bytes of
code and read-only data per kernel, what it pulls in from the compiler's libraries, one parameter struct. Also builds
firmware around a few small networks: what is left of their images is the firmware's own share, and so much per call,
per stream and per stage of a stream.
"""
from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mcunas.board import Board
from mcunas.compiler import compile_graph, tables
from mcunas.cost.estimate import constant_bytes
from mcunas.cost.regression import nonnegative
from mcunas.errors import DoesNotFit, InputError, ToolMissing
from mcunas.graph.ir import Graph, Op, Quant, Tensor
from mcunas.paths import boards_dir, firmware_dir

FLAGS = ("-O2", "-std=c11", "-masm-syntax-unified", "-ffunction-sections", "-fdata-sections")
PREFIX = "arm-none-eabi-"


def _run(*command: str, cwd: Path | None = None) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=cwd).stdout
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


def _libraries(kernel: str, board: Board, folder: Path) -> dict[str, int]:
    """Members of the compiler's libraries that the last compiled source pulls in (64-bit products on small cores and
    such), with their bytes."""
    _run(PREFIX + "gcc", *board.cflags, "-nostartfiles", "-Wl,--gc-sections", f"-Wl,-e,{kernel}", "-Wl,-Map=linked.map",
         "object.o", "-o", "linked.elf", cwd=folder)
    return _members((folder / "linked.map").read_text())


def _members(linker_map: str) -> dict[str, int]:
    """Library member -> bytes of flash that the linker kept of it."""
    kept = linker_map.partition("Linker script and memory map")[2]
    found: dict[str, int] = {}
    section = r"^ \.(?:text|rodata|data)\S*\s+0x[0-9a-f]+\s+0x([0-9a-f]+) \S+\.a\((\S+)\.o\)$"
    for size, member in re.findall(section, kept, re.MULTILINE):
        found[member] = found.get(member, 0) + int(size, 16)
    return {member: size for member, size in found.items() if size}


def _params_bytes(kernel: str, board: Board, folder: Path) -> int:
    probe = folder / "probe.c"
    probe.write_text(f'#include "mn_kernels.h"\nconst char probe[sizeof(struct {kernel})] = {{1}};\n')
    return _flash_bytes(probe, board, folder)


def networks() -> Iterator[Graph]:
    """Chains of layers that are compiled to different numbers of calls, of streams, and of stages."""
    shapes = [("LOGISTIC",), ("MAX_POOL_2D",), ("MAX_POOL_2D",) * 9, ("CONV_2D",) * 2, ("CONV_2D",) * 5,
              ("CONV_2D", "DEPTHWISE_CONV_2D") * 4, ("FULLY_CONNECTED",) * 6,
              ("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D") * 3]
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


def _overheads(board: Board, sizes: dict[str, tuple], folder: Path) -> tuple[dict[str, int], set[str]]:
    """(what images hold besides tables, parameters, kernels and their libraries: firmware, and so much per call, stream
    and stage; library members that the firmware has anyway)."""
    from mcunas.device import build

    own: set[str] = set()
    rows, left = [], []
    for graph in networks():
        try:
            compiled = compile_graph(graph, board, rewrite=False)
        except DoesNotFit:                                  # a small board measures the small ones
            continue
        image = build(compiled, board, folder / "image")
        linked = _members((image.folder / "firmware.map").read_text())
        own = own or set(linked)                            # the first network's only kernel needs no library
        schedule = compiled.plan.schedule
        calls = [call for found in schedule.program.calls for call in found]
        known = constant_bytes(schedule) + sum(sizes[c.kernel][2] for c in calls)
        known += sum(sizes[k][0] for k in compiled.kernels) + sum(n for m, n in linked.items() if m not in own)
        streams = [step.stream for step in schedule.steps if step.stream]
        rows.append((1, len(calls), len(streams), sum(len(s.ops) for s in streams)))
        left.append(image.manifest["build"]["flash_bytes"] - known)
    found = nonnegative(np.array(rows, float), np.array(left, float))
    return dict(zip(("firmware", "call", "stream", "stage"), (round(float(v)) for v in found))), own


def measure(board: Board, path: Path) -> None:
    """Write the table to `path`. Raises ToolMissing or InputError."""
    sizes: dict[str, tuple[int, dict[str, int], int]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for source in sorted((firmware_dir() / "kernels").glob("*.c")):
            code = _flash_bytes(source, board, folder)
            if code:                            # else a kernel for another instruction set
                sizes[source.stem] = code, _libraries(source.stem, board, folder), _params_bytes(source.stem, board, folder)
        usual_code, usual_params = (int(np.median([s[i] for s in sizes.values()])) for i in (0, 2))
        sizes[tables.DEFAULT] = usual_code, {}, usual_params
        path.write_text(_table(board, sizes, {}, set()))        # the compiler chooses kernels by their sizes
        tables.clear()
        path.write_text(_table(board, sizes, *_overheads(board, sizes, folder)))
        tables.clear()


def _table(board: Board, sizes: dict[str, tuple], found: dict[str, int], own: set[str]) -> str:
    compiler = _run(PREFIX + "gcc", "--version").splitlines()[0]
    members = {m: n for _, needed, _ in sizes.values() for m, n in needed.items() if m not in own}
    lines = ["# SPDX-License-Identifier: Apache-2.0",
             "# Written by python -m mcunas.cost.measure_code. Bytes of flash: code of a kernel, one parameter",
             "# struct; members of libraries, each linked once; what model.c takes per call, stream and stage.",
             f'source = "compiled with {compiler}, {" ".join((*board.cflags, *FLAGS[:1]))}"']
    lines += [f"{what}_bytes = {found.get(what, 0)}" for what in ("call", "stream", "stage")]
    lines += ["", "[firmware]", *([f"{board.key} = {found['firmware']}"] if found else []), "", "[members]"]
    lines += [f"{m} = {n}" for m, n in sorted(members.items())] + ["", "[kernels]"]
    for kernel, (code, needed, params) in sizes.items():
        names = ", ".join(f'"{m}"' for m in needed if m not in own)
        lines.append(f"{kernel} = {{ code = {code}, params = {params}, members = [{names}] }}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", action="append", help="board key; default: one board per core")
    for key in parser.parse_args().board or Board.keys():
        board = Board.load(key)
        path = boards_dir() / "cost" / f"kernels-{board.cost_table}.toml"
        path.parent.mkdir(exist_ok=True)
        measure(board, path)
        print(path)


if __name__ == "__main__":
    main()
