# SPDX-License-Identifier: Apache-2.0
"""Looks inside an inference on the target, with firmware built for it: the first layer and element whose bytes differ from
the reference, and the timer's ticks of every step.

The debug firmware holds the same model.c and kernels under the same options; MN_TAP and MN_STEP only add calls between
them. Layers that stream row by row never exist as a whole: a step's last output is where a difference in it shows.
"""
from __future__ import annotations

import re
import tempfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mcunas.device.build import Image, build
from mcunas.device.run import input_bytes
from mcunas.device.stand_in import stand_in
from mcunas.device.target import connect, retried
from mcunas.errors import CheckFailed, InputError

if TYPE_CHECKING:
    from mcunas.compiler import Compiled
    from mcunas.graph import Graph

Flash = Callable[[Image], object]


@dataclass(frozen=True)
class Located:
    """The first difference: `op` and its kind as compiled, the step's ops, and the element (NHWC) of its output."""

    op: int
    kind: str
    name: str
    step_ops: tuple[int, ...]
    index: tuple[int, ...]
    expected: int | float
    found: int | float


def locate(image: Image, arrays: Sequence[np.ndarray], *, port: str | None = None, flash: Flash | None = None
           ) -> Located | None:
    """Where the target's inference of `arrays` first leaves the reference; None: every layer is right.

    port: of a board, with what flashes it. Raises InputError, ToolMissing, CheckFailed.
    """
    from mcunas.graph.reference import run as reference

    inside = _Inside.of(image)
    graph, sent = inside.graph, input_bytes(image, arrays)
    values = reference(graph, arrays)
    steps = {ops[-1]: ops for ops in inside.steps}
    with tempfile.TemporaryDirectory(prefix="mcunas-") as folder:
        with connect(inside.build(Path(folder), ("-DMN_TAP",), port, flash), port=port) as link:
            def ask(command: str) -> list[str]:
                def action() -> list[str]:
                    link.load(sent)
                    return link.command(command, timeout_s=120.0)

                return retried(link, image, action)

            for line in ask("taps"):
                match = re.fullmatch(r"m-tap-\[(\d+),(\d+),(\d+),([0-9a-f]{8})\]", line)
                if match is None:
                    continue
                op, output = int(match[1]), int(match[2])
                tensor = graph.ops[op].outputs[output]
                expected = np.ascontiguousarray(values[tensor])
                if zlib.crc32(expected.tobytes()) == int(match[4], 16):
                    continue
                data = next((x for x in ask(f"tap {op} {output}") if x.startswith("m-tap-data-[")), None)
                if data is None:
                    raise CheckFailed(f"op {op} differs and did not show itself again", image.board.key)
                found = np.frombuffer(bytes.fromhex(data[12:-1]), expected.dtype).reshape(expected.shape)
                differing = np.argwhere(found != expected)
                if not len(differing):
                    raise CheckFailed(f"op {op} differed once and not again", image.board.key,
                                      "suspect the supply or the RAM")
                at = tuple(int(i) for i in differing[0])
                return Located(op, graph.ops[op].kind, graph.tensors[tensor].name, steps[op], at, expected[at].item(),
                               found[at].item())
    return None


def step_ticks(image: Image, *, seed: int = 0, port: str | None = None, flash: Flash | None = None) -> list[int]:
    """Timer ticks of every step of the schedule, in one inference on pseudo-random input."""
    from mcunas.device.random_input import random_inputs

    inside = _Inside.of(image)
    count = len(inside.steps)
    sent = input_bytes(image, random_inputs(seed, [(tuple(t["shape"]), t["dtype"]) for t in image.manifest["inputs"]]))
    with tempfile.TemporaryDirectory(prefix="mcunas-") as folder:
        special = inside.build(Path(folder), ("-DMN_STEP", f"-DAPP_STEPS={count}"), port, flash)
        with connect(special, port=port) as link:
            def action() -> list[str]:
                link.seed(seed, sent)
                return link.command("steps", timeout_s=120.0)

            lines = retried(link, image, action)
    found = [int(line.removeprefix("m-step-[").removesuffix("]").partition(",")[2]) for line in lines
             if line.startswith("m-step-[")]
    if len(found) != count:
        raise CheckFailed(f"{len(found)} of {count} steps came back", image.board.key)
    return found


def recompiled(image: Image) -> Compiled:
    """The model compiled again, as it was for `image`. Raises InputError."""
    from mcunas.compiler import Choice, compile_graph
    from mcunas.graph import read_tflite

    if image.tflite is None:
        raise InputError("the firmware has no model.tflite beside it", str(image.folder), "build it with tflite=...")
    manifest = image.manifest
    graph = replace(read_tflite(image.tflite), name=manifest["model"])
    compiled = compile_graph(graph, image.board, manifest["optimize"], choice=Choice.of_manifest(manifest),
                             ram_bytes=manifest["arena_limit_bytes"])
    if compiled.model_c != (image.folder / "model.c").read_text():
        raise InputError("the firmware was built from another model.c than mcunas makes of its model", str(image.folder),
                         "build it again")
    return compiled


@dataclass(frozen=True)
class _Inside:
    """A firmware to look into. graph: as it is computed. steps: the ops that are computed together, in order. compiled: None
    where TFLM computes it."""

    image: Image
    graph: Graph
    steps: tuple[tuple[int, ...], ...]
    compiled: Compiled | None

    @staticmethod
    def of(image: Image) -> _Inside:
        if image.is_tflm:
            from mcunas.graph import read_tflite

            graph = read_tflite(image.model_bytes())
            return _Inside(image, graph, tuple((i,) for i in range(len(graph.ops))), None)
        compiled = recompiled(image)
        return _Inside(image, compiled.graph, tuple(tuple(s.ops) for s in compiled.plan.schedule.steps), compiled)

    def build(self, folder: Path, defines: tuple[str, ...], port: str | None, flash: Flash | None) -> Image:
        """The firmware with probes in it, on the board if that is behind a port."""
        board = stand_in(self.image.board) if port is None else self.image.board
        if self.compiled:
            special = build(self.compiled, board, folder, folders=("app", "probe"), defines=defines)
        else:
            from mcunas.device.tflm import most_bytes, rebuilt

            special = rebuilt(self.image, board, folder, folders=("app", "probe"), defines=defines,
                              arena_bytes=most_bytes(board) if "-DMN_TAP" in defines else None)     # all tensors are kept
        if port is None:
            return special
        if flash is None:
            raise InputError("a build that looks inside must be flashed first", board.key, "give a way to flash")
        flash(special)
        return special
