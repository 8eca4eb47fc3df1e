# SPDX-License-Identifier: Apache-2.0
"""Goals of a compilation, and how gcc compiles model and kernels for each.

balanced: on the TFLM baseline -O3 wins 2 % of the instructions for 13 % more code, and -Os loses 16 to 45 %. The small
goals see the whole program: parameters become constants in the kernels.
"""
from __future__ import annotations

_SMALL = ("-Os", "-flto")
OPTIMIZE = {"balanced": ("-O2",), "ram": _SMALL, "cycles": ("-O3",), "flash": _SMALL}


def level(goal: str) -> str:
    """O2, O3 or Os: the section of a core's code sizes that prices a goal."""
    return OPTIMIZE[goal][0].removeprefix("-")
