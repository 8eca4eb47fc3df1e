# SPDX-License-Identifier: Apache-2.0
"""Which network is the teacher: the user's own, a starting net, or the heaviest network of a space."""
from __future__ import annotations

import json

from mcunas.board import Board
from mcunas.device.alone import simulated
from mcunas.space import STARTS, Genotype
from mcunas.space import space as spaces
from mcunas.space.price import Prices
from mcunas.tasks import Task


def teacher_of(task: Task, board: Board, start: str | None, options: dict | None) -> tuple[Genotype, bool]:
    """(genotype, whether its weights are trained already). start: None = the task's own starting net."""
    if start is None:
        start, options = task.start, {**task.options, **(options or {})}
    options = json.loads(json.dumps(options or {}))         # as a file holds them
    if start in STARTS:
        return Genotype(start, options, task.input_shape, task.classes), False
    if start in spaces.names() or start.endswith(".toml"):
        space = spaces.load(start, options, task.input_shape, task.classes)
        prices = Prices(space, board, None, simulated)
        rows = {s.name: prices.row(s) for s in space.slots}
        return space.genotype({name: max(row, key=lambda o, row=row: row[o]["cycles"]) for name, row in rows.items()}), False
    return Genotype(start, options, task.input_shape, task.classes), True
