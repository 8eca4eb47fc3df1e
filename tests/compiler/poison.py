# SPDX-License-Identifier: Apache-2.0
"""A host program that overwrites every arena byte that the plan calls dead with noise, before each step of the schedule,
in all memories.

What it prints are the outputs, so a kernel that reads or keeps anything outside of live buffers gives other bytes.
"""
from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from mcunas.compiler import Compiled
from mcunas.compiler.emit import further_arenas
from mcunas.compiler.plan import Plan
from mcunas.device.host import _FLAGS, _SANITIZE, _compile, _kernel_library, build_host
from mcunas.graph import reference
from mcunas.paths import firmware_dir
from tests.kernels.bundle import Case

_MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model.h"

struct span {{ uint16_t step; uint8_t memory; uint32_t offset, bytes; }};
static const struct span live[] = {{{spans}}};
static uint32_t state;
{further}
void mn_tap(uint16_t op, uint16_t output, const void *data, uint32_t bytes) {{
  (void)op; (void)output; (void)data; (void)bytes;
}}

static void spoil(uint16_t step, uint8_t memory, uint8_t *data, uint32_t size) {{
  uint8_t *keep = calloc(size, 1);
  if (keep == NULL) exit(2);
  for (unsigned i = 0; i < sizeof live / sizeof live[0]; i++)
    if (live[i].step == step && live[i].memory == memory) memset(keep + live[i].offset, 1, live[i].bytes);
  for (uint32_t i = 0; i < size; i++) {{
    state = state * 1664525u + 1013904223u;
    if (!keep[i]) data[i] = (uint8_t)(state >> 24);
  }}
  free(keep);
}}

void mn_step(uint16_t step, uint8_t *arena) {{
  spoil(step, {home}, arena, mn_model_model.arena_bytes);
{others}}}

int main(void) {{
  const struct mn_model *m = &mn_model_model;
  uint8_t *arena = aligned_alloc(MN_ARENA_ALIGN, (m->arena_bytes + MN_ARENA_ALIGN - 1) / MN_ARENA_ALIGN * MN_ARENA_ALIGN);
  if (arena == NULL) return 2;
  for (state = 1; state < 4; state++) {{
    fseek(stdin, 0, SEEK_SET);
    for (unsigned i = 0; i < m->inputs; i++)
      if (fread(arena + m->input[i].offset, 1, m->input[i].bytes, stdin) != m->input[i].bytes) return 2;
    const uint32_t seed = state;
    m->invoke(arena);
    mn_step({steps}, arena);
    for (unsigned i = 0; i < m->outputs; i++)
      fwrite(arena + m->output[i].offset, 1, m->output[i].bytes, stdout);
    state = seed;
  }}
  free(arena);
  return 0;
}}
"""
_RUNS = 3


def _live(plan: Plan) -> list[tuple[int, int, int, int]]:
    """(step, memory, offset, bytes) of everything that must survive until the step begins; the last step is the end."""
    found, steps = [], len(plan.schedule.steps)
    for buffer, memory, offset in zip(plan.buffers, plan.buffer_regions, plan.buffer_offsets):
        source = bool(plan.program.sources & set(buffer.tensors))
        pinned = bool(plan.program.pinned & set(buffer.tensors))
        first, last = (0 if source else buffer.first + 1), (steps if pinned else buffer.last)
        found += [(step, memory, offset, buffer.size_bytes) for step in range(first, last + 1)]
    return found


def poisoned_outputs(compiled: Compiled, inputs: list[np.ndarray], folder: Path, compiler: str = "gcc") -> list[bytes]:
    """The output bytes of some runs with different noise. compiled: model_id is "model"."""
    folder.mkdir(parents=True, exist_ok=True)
    spans = ", ".join("{" + ", ".join(map(str, span)) + "}" for span in _live(compiled.plan))
    (folder / "model.c").write_text(compiled.model_c)
    (folder / "model.h").write_text(compiled.model_h)
    more = {int(name.rpartition("_")[2]): (name, size) for name, size in further_arenas(compiled.plan, "model").items()}
    (folder / "main.c").write_text(_MAIN.format(
        spans=spans, steps=len(compiled.plan.schedule.steps), home=compiled.plan.home,
        further="".join(f"_Alignas(MN_ARENA_ALIGN) uint8_t {name}[{size}];\n" for name, size in more.values()),
        others="".join(f"  spoil(step, {k}, {name}, {size});\n" for k, (name, size) in more.items())))
    (folder / "inputs").write_bytes(b"".join(np.ascontiguousarray(a).tobytes() for a in inputs))
    flags = (*_FLAGS, *_SANITIZE)
    _compile([compiler, *flags, "-DMN_STEP", f"-I{firmware_dir() / 'kernels'}", f"-I{folder}", str(folder / "model.c"),
              str(folder / "main.c"), str(_kernel_library((compiler,), flags)), "-o", str(folder / "poison")])
    with open(folder / "inputs", "rb") as stream:
        done = subprocess.run([str(folder / "poison")], stdin=stream, capture_output=True, timeout=600, check=True)
    size = len(done.stdout) // _RUNS
    return [done.stdout[k * size:(k + 1) * size] for k in range(_RUNS)]


def wrong(compiled: Compiled, case: Case, folder: Path) -> list[str]:
    """Tensors of the C's two runs that differ from the reference, and outputs that change when dead bytes do."""
    graph, inputs = case
    given, inside, found = reference.run(graph, inputs), reference.run(compiled.graph, inputs), []
    for outputs, taps in build_host(compiled, folder / "taps").run_batch([inputs, inputs]):
        found += [f"output {t}" for t, value in zip(graph.outputs, outputs) if value.tobytes() != given[t].tobytes()]
        found += [f"tensor {t}" for t, value in taps.items() if value.tobytes() != inside[t].tobytes()]
    wanted = b"".join(given[t].tobytes() for t in graph.outputs)
    found += [f"run {k} with noise" for k, data in enumerate(poisoned_outputs(compiled, inputs, folder / "noise"))
              if data != wanted]
    return found
