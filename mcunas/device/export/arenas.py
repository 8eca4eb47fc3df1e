# SPDX-License-Identifier: Apache-2.0
"""Arenas in several memories. The caller owns the one that `invoke` is given; the other parts are arrays that model.h
declares, and mn_arenas.c defines them here.

Each array lies in a section `.bss.mn_<memory>`: a linker script that does not know it puts it where all zeros go, and one
that includes mn_arenas.ld in front puts it where it was planned. The name of a section is a macro, for worlds that have
names of their own for their memories.
"""
from __future__ import annotations

from dataclasses import dataclass

from mcunas.board import Board
from mcunas.compiler import Compiled
from mcunas.compiler.emit import further_arenas

SOURCE, SCRIPT = "mn_arenas.c", "mn_arenas.ld"
_DEFINITION = """\
#ifndef {macro}
#define {macro} "{section}"
#endif
__attribute__((section({macro}), aligned(MN_ARENA_ALIGN))) uint8_t {array}[{upper}_BYTES];
"""


@dataclass(frozen=True)
class Part:
    """Of a model's arena. array: C identifier; the caller's own where it is the one that `invoke` is given. memory: of the
    board file."""

    model_id: str
    array: str
    memory: str
    size_bytes: int
    is_home: bool

    @property
    def section(self) -> str:
        return f".bss.mn_{self.memory}"

    @property
    def macro(self) -> str:
        """That a build may define as another section's name, a string."""
        return f"{self.array.upper()}_SECTION"


def parts(model: Compiled, board: Board) -> tuple[Part, ...]:
    """Of a model whose arena is divided, the home first; none of another."""
    further, names = further_arenas(model.plan, model.model_id), list(board.arenas)
    if not further:
        return ()
    home, name = model.plan.home, model.model_id
    return (Part(name, f"{name}_arena", names[home], model.plan.region_bytes[home], True),
            *(Part(name, array, names[int(array.rpartition("_")[2])], size, False) for array, size in further.items()))


def source(found: tuple[Part, ...]) -> str:
    """mn_arenas.c: what the models declare, defined."""
    own = [part for part in found if not part.is_home]
    includes = "".join(f'#include "{model_id}.h"\n' for model_id in dict.fromkeys(part.model_id for part in own))
    return (f"// SPDX-License-Identifier: Apache-2.0\n// Parts of arenas in other memories than the one that invoke is "
            f"given; leave it out to define them elsewhere.\n{includes}\n" + "\n".join(
                _DEFINITION.format(macro=part.macro, section=part.section, array=part.array, upper=part.array.upper())
                for part in own))


def script(found: tuple[Part, ...]) -> str:
    """mn_arenas.ld: a line for each memory, named as in the board file."""
    lines = [f"{part.section[4:]} (NOLOAD) : ALIGN(16) {{ *({part.section}) }} > {part.memory}" for part in found]
    return ("/* SPDX-License-Identifier: Apache-2.0\n   INCLUDE this in SECTIONS in front of .bss, with the names that your "
            "script gives the memories.\n   Nothing here has to be zeroed. */\n" + "".join(f"{line}\n" for line in
                                                                                          dict.fromkeys(lines)))
