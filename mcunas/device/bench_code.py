# SPDX-License-Identifier: Apache-2.0
"""The micro-benchmarks as a "model": each body as two functions in assembly, and the job and the ticks as tensors, so
that build, command protocol and fault reports are those of every other firmware."""
from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from string import Template
from typing import Any

from mcunas.cost.benches import Bench

RUNS = 3                                # CALIBRATE_RUNS
_JOB = struct.Struct("<3I")
_TICKS = struct.Struct(f"<{1 + 2 * RUNS}I")
_ARENA_BYTES = _JOB.size + _TICKS.size

# Callee-saved registers are kept as Armv6-M can. The way back is a BL, whose reach is that of the longest body.
_FUNCTION = Template("""\
__asm(
  ".section .text.$name,\\"ax\\",%progbits\\n"
  ".syntax unified\\n"
  ".balign 32\\n"
  ".global $name, ${name}_from, ${name}_to\\n"
  ".thumb_func\\n"
  ".type $name, %function\\n"
  "$name:\\n"
  "  push {r4-r7, lr}; mov r4, r8; mov r5, r9; push {r4, r5}\\n"
  "  mov r7, r0; ldr r1, =calibrate_memory; ldr r2, =calibrate_memory + 64\\n"
  "  str r1, [r1]; movs r0, #0; str r0, [r2]; str r0, [r2, #4]\\n"
  "  movs r3, #4; ldr r4, =$r4; ldr r5, =$r5; ldr r6, =0x2545F491\\n"
  "  b 9f\\n"
  "  .ltorg\\n"
  "  .balign 32\\n"
  "9: $head\\n"
  "  cmp r0, r0\\n"
  "${name}_from:\\n"
  "  .rept $copies\\n"
  "  $body\\n"
  "  .endr\\n"
  "${name}_to:\\n"
  "  subs r7, #1; beq 8f; bl 9b\\n"
  "8: pop {r4, r5}; mov r8, r4; mov r9, r5; pop {r4-r7, pc}\\n"
  "  .balign 4\\n"
  "7: .word 0\\n"
  "  .size $name, . - $name\\n"
  ".text\\n");
void $name(uint32_t turns);
""")

_MODEL_C = Template("""\
#include "model.h"
#include "mn_model.h"

extern void (*const calibrate_bodies[][2])(uint32_t turns);
extern const uint32_t calibrate_count;
extern uint8_t calibrate_memory[];
void calibrate_run(uint8_t *arena);

__attribute__((used, aligned(64))) uint8_t calibrate_memory[128];
$functions
void (*const calibrate_bodies[][2])(uint32_t turns) = {
$table
};
const uint32_t calibrate_count = sizeof calibrate_bodies / sizeof calibrate_bodies[0];

static const struct mn_tensor job = {"job", 0, $job, MN_INT8, 2, {1, $job}, 1.0f, 0};
static const struct mn_tensor ticks = {"ticks", $job, $ticks, MN_INT8, 2, {1, $ticks}, 1.0f, 0};
const struct mn_model mn_model_calibrate = {"$title", $arena, 1, 1, &job, &ticks, calibrate_run};
""")

_MODEL_H = f"""\
#include <stdint.h>
#include "mn_model.h"
#define MN_CALIBRATE_ARENA_BYTES {_ARENA_BYTES}u
extern const struct mn_model mn_model_calibrate;
"""


@dataclass(frozen=True)
class _Arena:
    """What `build` reads of a memory plan: all in the board's first memory for the arena."""

    home: int = 0
    region_bytes: tuple[int, ...] = (_ARENA_BYTES,)


@dataclass(frozen=True)
class Benchmarks:
    """What `build` reads of a compiled model. title: what the firmware calls itself; it names these very benchmarks."""

    title: str
    model_c: str
    model_h: str = _MODEL_H
    model_id: str = "calibrate"
    plan: _Arena = _Arena()
    kernels: tuple[str, ...] = ()
    optimize: str = "balanced"
    manifest: dict[str, Any] = field(default_factory=lambda: {"arena_bytes": _ARENA_BYTES})


def benchmarks(benches: Sequence[Bench]) -> Benchmarks:
    """C of a firmware with `benches`, in their order."""
    functions = "".join(_function(bench, times) for bench in benches for times in (1, 2))
    title = f"calibrate-{hashlib.sha256(functions.encode()).hexdigest()[:8]}"
    table = "\n".join(f"  {{{symbol(bench, 1)}, {symbol(bench, 2)}}}," for bench in benches)
    return Benchmarks(title, _MODEL_C.substitute(functions=functions, table=table, title=title, job=_JOB.size,
                                                 ticks=_TICKS.size, arena=_ARENA_BYTES))


def symbol(bench: Bench, times: int) -> str:
    """Name of the function with `times` x bench.copies bodies; its bodies lie between <name>_from and <name>_to."""
    return f"bench_{bench.name}_{bench.copies * times}"


def job(index: int, turns: int, counter: int) -> bytes:
    """The input: run benchmark `index`."""
    return _JOB.pack(index, turns, counter)


def ticks(output: bytes) -> tuple[int, int] | None:
    """The output: least ticks with n and with 2n bodies; None: the counter does not count."""
    counts, *found = _TICKS.unpack(output)
    return (min(found[:RUNS]), min(found[RUNS:])) if counts else None


def _function(bench: Bench, times: int) -> str:
    r4, r5 = bench.operands
    return _FUNCTION.substitute(name=symbol(bench, times), head=bench.head, body=bench.body, r4=r4, r5=r5,
                                copies=bench.copies * times)
