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

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Board": "mcunas.board",
    "Budget": "mcunas.budget",
    "McunasError": "mcunas.errors",
    "accelerate": "mcunas.search.own",
    "build": "mcunas.api",
    "validate": "mcunas.device",
}
__all__ = ["Board", "Budget", "McunasError", "__version__", "accelerate", "build", "prune", "quantize", "search", "validate"]


# packages that are also a function of the same name -> where that function is
_VERBS = {"prune": "mcunas.search.own", "quantize": "mcunas.quantize", "search": "mcunas.search"}


def __getattr__(name: str) -> Any:
    if name in _VERBS:
        return import_module(f"mcunas.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'mcunas' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


class _Verb(ModuleType):
    """A package that can be called: ``mcunas.prune(...)`` runs ``mcunas.search.own.prune(...)``."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = self.__name__.rpartition(".")[2]
        return getattr(import_module(_VERBS[name]), name)(*args, **kwargs)


class _Package(ModuleType):
    """Importing ``mcunas.search`` binds that package here, over any function of the name; so make it callable then."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _VERBS and isinstance(value, ModuleType):
            value.__class__ = _Verb
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
