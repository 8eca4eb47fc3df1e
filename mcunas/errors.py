# SPDX-License-Identifier: Apache-2.0
"""Errors a user can cause or meet: one line that says where, what, and what to do; each carries its exit status.

Exit status (design.md section 3): 1 = a check failed or the model does not fit; 2 = bad input.
"""
from __future__ import annotations

import difflib
from collections.abc import Iterable


class McunasError(Exception):
    """Base of all expected errors. ``str()`` is always a single line: ``where: what; fix``."""

    exit_code = 2

    def __init__(self, what: str, where: str = "", fix: str = "") -> None:
        line = (f"{where}: " if where else "") + what + (f"; {fix}" if fix else "")
        super().__init__(" ".join(line.split()))
        self.what, self.where, self.fix = what, where, fix


class InputError(McunasError):
    """A file, an option or a value that cannot be used."""


class ToolMissing(InputError):
    """A program that has to be installed first (compiler, emulator, flasher)."""


class DoesNotFit(McunasError):
    """The model exceeds a budget or a memory region of the board."""

    exit_code = 1


class CheckFailed(McunasError):
    """The target ran, but its result differs from what was promised."""

    exit_code = 1


def did_you_mean(word: str, known: Iterable[str], listed: str = "use one of") -> str:
    """The way out for an unknown name: the nearest known one, where there is one, and all of them."""
    names = tuple(known)
    close = difflib.get_close_matches(word, names, n=1)
    return (f"did you mean {close[0]!r}? " if close else "") + f"{listed} {', '.join(names)}"
