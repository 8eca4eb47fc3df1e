# SPDX-License-Identifier: Apache-2.0
"""The generated sources around a model: board.h (constants of the board), link.ld, image.c (the arena)."""
from __future__ import annotations

from dataclasses import asdict, fields
from string import Template
from typing import TYPE_CHECKING

from mcunas.board import Board
from mcunas.board_parts import CLOCK_SOURCES, GUARD_BYTES
from mcunas.compiler import Compiled
from mcunas.compiler.emit import further_arenas
from mcunas.paths import firmware_dir

if TYPE_CHECKING:
    from mcunas.tasks.detection.decode import DetectionHead

_SPDX = "// SPDX-License-Identifier: Apache-2.0\n"
_IMAGE_C = _SPDX + """\
#include "model.h"
#include "mn_model.h"

extern const struct mn_model *const app_model;
extern uint8_t app_arena[];

const struct mn_model *const app_model = &mn_model_{id};
__attribute__((section(".arena"), aligned(MN_ARENA_ALIGN))) uint8_t app_arena[MN_{upper}_ARENA_BYTES];
"""
_BOXES_C = """
#include "mn_boxes.h"

extern const struct mn_boxes app_boxes;
const struct mn_boxes app_boxes = {{{fields}}};
"""
_FURTHER_C = """
extern uint8_t *const app_further[];

{arenas}
uint8_t *const app_further[] = {{{table}0}};
"""
_FURTHER_LD = """
  .{name} (NOLOAD) : ALIGN(16)
  {{
    _{name}_start = .;
    KEEP(*(.{name}))
    _{name}_end = .;
  }} > {memory}
"""


def board_h(board: Board, decodes: bool = False) -> str:
    """Constants for the drivers, as a C header. decodes: whether the application has boxes to decode."""
    constants = {
        "CLOCK_HZ": f"{board.clock_hz}u",
        "UART_BASE": f"0x{board.console.base:08X}u",
        "UART_BAUD": f"{board.console.baud}u",
        "UART_IRQ": f"{board.console.irq}u",
        "UART_TX": f"{board.console.pin_number(board.console.tx)}u",
        "UART_RX": f"{board.console.pin_number(board.console.rx)}u",
        "UART_AF": f"{board.console.af}u",
        "SLEEPS": str(int(board.emulate is not None)),
        "TIMER_BASE": f"0x{board.timer.base:08X}u",
        "TIMER_HZ": f"{board.timer.hz}u",
        "ARENAS": str(len(board.arenas)),
        "TRAP_UNALIGNED": str(int(board.core.trap_unaligned)),
        "HAS_VTOR": str(int(board.cpu != "cortex-m0")),
        "RAM": "{" + ", ".join(f"{{0x{m.origin:08X}u, 0x{m.size:X}u}}" for m in board.memories if m.kind == "ram") + "}",
    }
    if clock := board.clock:
        constants |= {f"CLOCK_{name.upper()}": str(int(clock.source == name)) for name in CLOCK_SOURCES}
        constants |= {f"CLOCK_{f.name.upper()}": f"{int(getattr(clock, f.name))}u" for f in fields(clock)
                      if f.name not in ("source", "hz")}
        constants["CLOCK_SOURCE_HZ"] = f"{clock.hz}u"
    if board.flashing and (chip := board.flashing.chip_id):
        constants |= {"CHIP_ID": f"0x{chip.address:08X}u"}
    defined = "".join(f"#define BOARD_{name} {value}\n" for name, value in constants.items())
    return _SPDX + defined + ("#define APP_DECODES 1\n" if decodes else "")


def linker_script(board: Board, ram_budget_bytes: int, flash_budget_bytes: int, home: int = 0) -> str:
    """The linker script; it refuses an arena or an image beyond the budgets (bytes a model may use).

    home: which of the board's memories for the arena holds the part that `invoke` is given.
    """
    access = {"flash": "rx", "ram": "rwx"}
    memories = (f"  {memory.name} ({access[memory.kind]}) : ORIGIN = {memory.origin:#010x}, LENGTH = {memory.size:#x}"
                for memory in board.memories)
    names = list(board.arenas)
    further = "".join(_FURTHER_LD.format(name=f"arena_{k}", memory=name) for k, name in enumerate(names) if k != home)
    arenas = [".arena", *(f".arena_{k}" for k in range(len(names)) if k != home)]
    template = Template((firmware_dir() / "platform" / "link.ld").read_text())
    return template.safe_substitute(
        memories="\n".join(memories), flash=board.flash.name, data=board.ram_for("data").name,
        stack=board.ram_for("stack").name, arena=names[home], further_arenas=further,
        arena_bytes=" + ".join(f"SIZEOF({name})" for name in arenas), stack_bytes=board.reserve.stack,
        guard_bytes=GUARD_BYTES, ram_budget_bytes=ram_budget_bytes, flash_budget_bytes=flash_budget_bytes,
        flash_reserve_bytes=board.reserve.flash)


def image_c(compiled: Compiled, board: Board, decoder: DetectionHead | None = None) -> str:
    """Ties the model to the application and gives it its arena. decoder: of its output, where the application decodes it."""
    text = _IMAGE_C.format(id=compiled.model_id, upper=compiled.model_id.upper()) + boxes_c(decoder)
    if len(board.arenas) == 1:
        return text
    names = further_arenas(compiled.plan, compiled.model_id)
    arenas = "\n".join(f'__attribute__((section(".arena_{name.rpartition("_")[2]}"), aligned(MN_ARENA_ALIGN))) '
                       f"uint8_t {name}[{name.upper()}_BYTES];" for name in names)
    return text + _FURTHER_C.format(arenas=arenas, table="".join(f"{name}, {name} + sizeof {name}, " for name in names))


def boxes_c(decoder: DetectionHead | None) -> str:
    """The application's constants of a decoder; nothing without one."""
    if decoder is None:
        return ""
    return _BOXES_C.format(fields=", ".join(f".{name} = {value}" for name, value in asdict(decoder).items()))
