# SPDX-License-Identifier: Apache-2.0
"""mcunas: give it a task and a board, get a network that fits, as firmware that is proven on that board's core.

The whole Python interface is here; each name is imported when it is first used, because torch alone takes seconds.

    board  = mcunas.Board.load("mps2-an386")
    budget = mcunas.Budget(ram="64 KiB", flash="256 KiB", latency="50 ms")
    result = mcunas.search("digits", board, budget, method="diffprune", out="runs/digits")
    model  = mcunas.quantize(result)
    image  = mcunas.build(model, board)
    report = mcunas.validate(image)
"""
from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Board": "mcunas.board",
    "Budget": "mcunas.budget",
    "McunasError": "mcunas.errors",
    "search": "mcunas.search",
    "quantize": "mcunas.quantize",
    "build": "mcunas.device",
    "validate": "mcunas.device",
}
__all__ = ["Board", "Budget", "McunasError", "__version__", "build", "quantize", "search", "validate"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mcunas' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
