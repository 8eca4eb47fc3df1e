# SPDX-License-Identifier: Apache-2.0
"""Where an inference's time goes on a real board: its own timer at every step of the schedule, beside what the model says.

One 32-bit counter a step. The difference to the model is where a board's memory, flash wait states or caches show.
"""
from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mcunas.device.locate import step_ticks
from mcunas.device.stand_in import stand_in
from mcunas.errors import InputError

if TYPE_CHECKING:
    from mcunas.board import Board
    from mcunas.device.build import Image
    from mcunas.device.locate import Flash


@dataclass(frozen=True)
class StepTime:
    """layers: indices and kinds of the ops that the step runs. measured: cycles of the core by the board's timer, or
    instructions by the emulator's; unit: which. modelled_cycles: of the core's table; None where that lacks a kernel."""

    step: int
    layers: tuple[str, ...]
    measured: int
    unit: str
    modelled_cycles: int | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def step_times(image: Image, seed: int = 0, port: str | None = None, flash: Flash | None = None) -> list[StepTime]:
    """Of one inference on pseudo-random input; `flash` puts a firmware that looks at its timer into the board, and the
    image's own back in the end. Without a port on the board's core in QEMU, whose timer counts instructions.

    Raises InputError, ToolMissing, CheckFailed.
    """
    board = stand_in(image.board) if port is None else image.board
    if port is None and not board.emulated_timer_hz:
        raise InputError("the emulator has no timer for this board", where=board.key, fix="name the port of a real one")
    ticks = step_ticks(image, seed=seed, port=port, flash=flash)
    if port is not None and flash is not None:
        flash(image)
    modelled = _modelled(image)
    layers = image.manifest["layers"]
    return [StepTime(step, tuple(f"{layer['index']} {layer['kind']}" for layer in layers if layer["step"] == step),
                     _instructions(board, count) if port is None else count * board.clock_hz // board.timer.hz,
                     "cycles" if port else "instructions", modelled[step]) for step, count in enumerate(ticks)]


def _instructions(board: Board, ticks: int) -> int:
    from mcunas.device.validate import instructions_of

    return instructions_of(board, ticks)


def _modelled(image: Image) -> list[int | None]:
    """Cycles of every step by the core's table, as the price of its layers in one call each; none of TFLM's."""
    if image.is_tflm:
        return [None] * len(image.manifest["layers"])
    from mcunas.cost.estimate import layer_cycles
    from mcunas.device.locate import recompiled

    steps: dict[int, list[float | None]] = {}
    layers = image.manifest["layers"]
    for layer, cycles in zip(layers, layer_cycles(recompiled(image).plan.program, image.board), strict=True):
        steps.setdefault(layer["step"], []).append(cycles)
    return [None if None in steps[step] else round(sum(c for c in steps[step] if c is not None)) for step in sorted(steps)]
