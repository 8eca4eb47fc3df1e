# SPDX-License-Identifier: Apache-2.0
"""validate: every output byte of the firmware against TFLite Micro's interpreter, every promised number against a
measured one (design.md section 3). The keys of `ValidationReport.to_json` are what benchmarks rely on.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mcunas.board import Board
from mcunas.compiler.lifetime import ALIGN_BYTES
from mcunas.device.build import Image
from mcunas.device.link import Link, MemoryUse
from mcunas.device.locate import Flash, Located, locate
from mcunas.device.random_input import random_inputs
from mcunas.device.run import input_bytes
from mcunas.device.stand_in import emulated
from mcunas.device.target import connect, retried
from mcunas.errors import InputError, McunasError, ToolMissing


@dataclass(frozen=True)
class Figures:
    """Bytes, instructions and cycles of one inference; None where nothing is known.

    ram_bytes: the arena. flash_bytes: the whole image. weight_bytes: weights, biases and constant operands as the
    .tflite holds them. code_bytes: the rest of the image. cycles: see cycles_source.
    """

    ram_bytes: int | None
    flash_bytes: int | None
    code_bytes: int | None
    weight_bytes: int | None
    stack_bytes: int | None
    instructions: int | None
    cycles: int | None


@dataclass(frozen=True)
class Mismatch:
    """The first differing byte: `input` counts inferences, `output` the model's outputs, `byte` within that output."""

    input: int
    output: int
    byte: int
    expected: int
    found: int


@dataclass(frozen=True)
class ValidationReport:
    """mismatches: differing output bytes over all inputs. retries: what a serial line did to an inference, which was then
    run again. located: the layer where the first mismatch begins, where a debug build could tell; not_located: why not."""

    board: str
    model: str
    inputs: int
    mismatches: int
    first_mismatch: Mismatch | None
    measured: Figures
    predicted: Figures
    cycles_source: str
    input_kept: bool
    retries: tuple[str, ...] = ()
    located: Located | None = None
    not_located: str = ""

    @property
    def passed(self) -> bool:
        """All bytes equal, and the arena is the promised size."""
        return self.mismatches == 0 and is_promised(self.measured.ram_bytes, self.predicted.ram_bytes)

    def to_json(self) -> dict[str, Any]:
        return {"board": self.board, "model": self.model, "inputs": self.inputs, "mismatches": self.mismatches,
                **asdict(self.measured), "cycles_source": self.cycles_source, "predicted": asdict(self.predicted),
                "first_mismatch": asdict(self.first_mismatch) if self.first_mismatch else None,
                "located": asdict(self.located) if self.located else None,
                "not_located": self.not_located, "retries": list(self.retries), "input_kept": self.input_kept,
                "passed": self.passed}


def is_promised(used_bytes: int | None, promised_bytes: int | None) -> bool:
    """Whether an arena is as large as promised. Rows of a stream are kept in whole words: where they lie last, no kernel
    touches what is left of the last one."""
    return used_bytes is not None and promised_bytes is not None and 0 <= promised_bytes - used_bytes < ALIGN_BYTES


def validate(image: Image, inputs: Sequence[Sequence[np.ndarray] | np.ndarray] | None = None, *, n_random: int = 20,
             seed: int = 0, port: str | None = None, flash: Flash | None = None,
             find_layer: bool = True) -> ValidationReport:
    """Run `inputs` (each one inference; default: `n_random` pseudo-random ones from `seed` on) on the target.

    port: of a board that runs `image`; None: QEMU. find_layer: on a mismatch, look for the layer where it begins, on a board
    by way of `flash`, which puts an image there.
    Raises InputError (no model beside the image, wrong inputs), ToolMissing, CheckFailed (the target fails to run).
    """
    from mcunas.graph import read_tflite
    from mcunas.graph.oracle import Oracle

    data = image.model_bytes()
    if port is None:
        image = emulated(image)
    oracle = Oracle(read_tflite(data), data)
    count = n_random if inputs is None else len(inputs)
    if count < 1:
        raise InputError("nothing to validate with: no inputs", fix="give at least one")
    mismatches, first, retries = 0, None, []
    with connect(image, port=port) as link:
        for i in range(count):
            given = None if inputs is None else inputs[i]
            arrays = _arrays(image, given, seed + i)

            def infer(arrays=arrays, given=given, i=i) -> bytes:
                _load(link, image, arrays, None if given is not None else seed + i)
                link.infer()
                return link.output()

            found = np.frombuffer(retried(link, image, infer, retries.append), np.uint8)
            expected = [np.frombuffer(np.ascontiguousarray(a).tobytes(), np.uint8) for a in oracle.outputs(arrays)]
            differs = np.flatnonzero(found != np.concatenate(expected))
            mismatches += differs.size
            if differs.size and first is None:
                first, wrong = _mismatch(i, int(differs[0]), expected, found), arrays
        given = None if inputs is None else inputs[0]

        def measure() -> tuple[tuple[int, int], MemoryUse]:
            arrays = _arrays(image, given, seed)
            _load(link, image, arrays, None if given is not None else seed)
            ticks = link.ticks()
            _load(link, image, arrays, None if given is not None else seed)
            return ticks, link.memory()

        (ticks, empty), memory = retried(link, image, measure, retries.append)
    executed, cycles, source = _timed(image, ticks, empty, seed, port)
    located, not_located = None, ""
    if first is not None and find_layer and (port is None or flash):
        try:
            located = locate(image, wrong, port=port, flash=flash)
        except McunasError as error:        # the mismatch stands, whatever else fails
            not_located = str(error)
    model, build = image.manifest, image.manifest["build"]
    arena_used = memory.arena_used + sum(memory.further_used)
    measured = Figures(arena_used, build["flash_bytes"], build["flash_bytes"] - model["weight_bytes"],
                       model["weight_bytes"], memory.stack_used, executed, cycles)
    return ValidationReport(image.board.key, model["model"], count, mismatches, first, measured,
                            _predicted(image, data), source, bool(memory.input_kept), tuple(retries), located, not_located)


def _timed(image: Image, ticks: int, empty: int, seed: int, port: str | None) -> tuple[int | None, int | None, str]:
    """(executed instructions, cycles, what the cycles are) of one inference that took `ticks` less `empty`."""
    board = image.board
    if port is not None:
        return None, (ticks - empty) * board.clock_hz // board.timer.hz, (
            f"measured on the board by its timer ({board.timer.driver}, {board.timer.hz / 1e6:g} MHz)")
    executed = (instructions_of(board, ticks) - instructions_of(board, empty)) if board.emulated_timer_hz else None
    cycles, source = modelled(image, lambda: executed, seed)
    return _counted(image, seed) if executed is None else executed, cycles, source


def modelled(image: Image, instructions: Callable[[], int | None], seed: int) -> tuple[int | None, str]:
    """Modelled cycles, and what they rest on: the executed instructions, or their number where QEMU tells no more.

    instructions: asked for only then.
    """
    from mcunas.device.profile import cycles_source, executed

    try:
        return round(executed(image, seed)[1].typical), cycles_source(image)
    except ToolMissing as error:
        model, number = image.board.cycle_model, instructions()
        if number is None:
            return None, f"unknown: the emulator has no timer, and {error.what}"
        return round(number * model.cycles_per_instruction), (
            f"modelled: instructions counted in QEMU x {model.cycles_per_instruction:g} cycles per instruction of "
            f"{model.basis} ({model.low:g} to {model.high:g}; {model.source}), because {error.what}")


def instructions_of(board: Board, ticks: int) -> int:
    """Executed instructions in `ticks` of the emulated timer, which started between two instructions (exact)."""
    assert board.emulate is not None and board.emulated_timer_hz
    return -(-ticks * 10**9 // (board.emulated_timer_hz << board.emulate.icount_shift))


def _counted(image: Image, seed: int) -> int | None:
    """Executed instructions where the emulator has no timer: by its counting plugin, if it takes one."""
    from mcunas.device.profile import executed

    try:
        return executed(image, seed)[0] - 1     # a timer would not see invoke's return
    except ToolMissing:
        return None


def _arrays(image: Image, inputs: Sequence[np.ndarray] | np.ndarray | None, seed: int) -> list[np.ndarray]:
    """`inputs`, or pseudo-random ones."""
    if inputs is None:
        return random_inputs(seed, [(tuple(t["shape"]), t["dtype"]) for t in image.manifest["inputs"]])
    return [inputs] if isinstance(inputs, np.ndarray) else list(inputs)


def _load(link: Link, image: Image, arrays: Sequence[np.ndarray], seed: int | None) -> None:
    """Give the target its input; by its seed, if they were drawn from one."""
    if seed is None:
        link.load(input_bytes(image, arrays))
    else:
        link.seed(seed, input_bytes(image, arrays))


def instructions(link: Link, image: Image, inputs: Sequence[np.ndarray] | np.ndarray | None = None,
                 seed: int = 0) -> int | None:
    """Executed instructions of one inference, on pseudo-random input if none is given; None: the emulator has no timer."""
    _load(link, image, _arrays(image, inputs, seed), seed if inputs is None else None)
    ticks, empty = link.ticks()
    if not image.board.emulated_timer_hz:
        return None
    return instructions_of(image.board, ticks) - instructions_of(image.board, empty)


def _mismatch(index: int, byte: int, expected: list[np.ndarray], found: np.ndarray) -> Mismatch:
    at = byte
    for output, part in enumerate(expected):
        if at < part.size:
            return Mismatch(index, output, at, int(part[at]), int(found[byte]))
        at -= part.size
    raise AssertionError("a byte outside of the outputs")


def _predicted(image: Image, tflite: bytes) -> Figures:
    """What compiler and cost model promise before anything is built; a core without tables gets no estimates."""
    from mcunas.compiler import Choice
    from mcunas.cost import estimate
    from mcunas.cost.tflm import estimate_tflm
    from mcunas.device.alone import simulated
    from mcunas.graph import read_tflite

    model, reserve = image.manifest, image.board.reserve
    if image.is_tflm:
        cost = estimate_tflm(read_tflite(tflite), image.board)
        return Figures(model["arena_used_bytes"], cost.flash_bytes + reserve.flash, cost.flash_bytes + reserve.flash -
                       cost.weight_bytes, cost.weight_bytes, reserve.stack, None, cost.cycles)
    try:
        cost = estimate(read_tflite(tflite), image.board, goal=model["optimize"], ram_bytes=model["arena_limit_bytes"],
                        choice=Choice.of_manifest(model), simulator=simulated)
    except InputError:
        return Figures(model["arena_bytes"], None, None, model["weight_bytes"], reserve.stack, None, None)
    flash_bytes = cost.image_bytes or cost.flash_bytes + reserve.flash
    return Figures(model["arena_bytes"], flash_bytes, flash_bytes - cost.weight_bytes, cost.weight_bytes, reserve.stack,
                   cost.instructions, cost.cycles)
