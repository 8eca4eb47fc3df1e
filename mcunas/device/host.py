# SPDX-License-Identifier: Apache-2.0
"""The generated C on the host: built with address and undefined-behaviour sanitizers, run over pipes.

The same model.c and kernels that go to the board. The arena is a heap block of exactly the planned size, so a byte
outside it ends the run; every op's outputs come back through MN_TAP.
"""
from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mcunas.compiler import Compiled
from mcunas.compiler.emit import further_arenas
from mcunas.device.toolchain import compiler_version, host_compiler, host_folder
from mcunas.errors import CheckFailed
from mcunas.paths import firmware_dir

_FLAGS = ("-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow", "-DMN_TAP")
_SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_TIMEOUT_S = 600       # of a compiler with sanitizers on a busy machine

_MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model.h"

static void put(unsigned kind, unsigned a, unsigned b, const void *data, uint32_t bytes) {{
  uint32_t head[4] = {{kind, a, b, bytes}};
  fwrite(head, sizeof head, 1, stdout);
  fwrite(data, 1, bytes, stdout);
}}

{further}void mn_tap(uint16_t op, uint16_t output, const void *data, uint32_t bytes) {{ put(0, op, output, data, bytes); }}

int main(void) {{
  const struct mn_model *m = &mn_model_{id};
  uint8_t *arena = aligned_alloc(MN_ARENA_ALIGN, (m->arena_bytes + MN_ARENA_ALIGN - 1) / MN_ARENA_ALIGN * MN_ARENA_ALIGN);
  if (arena == NULL) return 1;
  for (;;) {{
    memset(arena, 0xA5, m->arena_bytes);
{paint}    for (unsigned i = 0; i < m->inputs; i++)
      if (fread(arena + m->input[i].offset, 1, m->input[i].bytes, stdin) != m->input[i].bytes) {{
        free(arena);
        return 0;
      }}
    m->invoke(arena);
    for (unsigned i = 0; i < m->outputs; i++) put(1, i, 0, arena + m->output[i].offset, m->output[i].bytes);
  }}
}}
"""


@dataclass(frozen=True, eq=False)
class HostImage:
    """A host program of one model."""

    compiled: Compiled
    program: Path

    def run(self, inputs: Sequence[np.ndarray]) -> tuple[list[np.ndarray], dict[int, np.ndarray]]:
        """One inference: (outputs, taps by tensor index), NHWC. Raises CheckFailed when a sanitizer stops it."""
        return self.run_batch([inputs])[0]

    def run_batch(self, batch: Sequence[Sequence[np.ndarray]]) -> list[tuple[list[np.ndarray], dict[int, np.ndarray]]]:
        """Several inferences in one process, on the same arena."""
        data = b"".join(np.ascontiguousarray(a).tobytes() for inputs in batch for a in inputs)
        done = subprocess.run([str(self.program)], input=data, capture_output=True, timeout=_TIMEOUT_S,
                              env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
        if done.returncode != 0:
            lines = [x for x in done.stderr.decode(errors="replace").splitlines() if "rror" in x]
            raise CheckFailed(f"the host build stopped: {(lines or ['no message'])[0].strip()}",
                              where=self.compiled.graph.name)
        return self._parse(done.stdout, len(batch))

    def _parse(self, stream: bytes, count: int) -> list[tuple[list[np.ndarray], dict[int, np.ndarray]]]:
        graph = self.compiled.graph
        results: list[tuple[list[np.ndarray], dict[int, np.ndarray]]] = []
        outputs: list[np.ndarray] = []
        taps: dict[int, np.ndarray] = {}
        at = 0
        while at < len(stream):
            kind, a, b, size = (int(v) for v in np.frombuffer(stream, np.uint32, 4, at))
            index = graph.ops[a].outputs[b] if kind == 0 else graph.outputs[a]
            tensor = graph.tensors[index]
            value = np.frombuffer(stream, tensor.dtype, tensor.elements, at + 16).reshape(tensor.shape)
            at += 16 + size
            if kind == 0:
                taps[index] = value
                continue
            outputs.append(value)
            if len(outputs) == len(graph.outputs):
                results.append((outputs, taps))
                outputs, taps = [], {}
        if len(results) != count:
            raise CheckFailed(f"{len(results)} of {count} inferences came back", where=graph.name)
        return results


def build_host(compiled: Compiled, out_dir: Path, sanitize: bool = True) -> HostImage:
    """Compile the model with the host's C compiler. Raises ToolMissing, CheckFailed (the C does not compile)."""
    compiler = host_compiler()
    flags = (*_FLAGS, *(_SANITIZE if sanitize else ()))
    out_dir.mkdir(parents=True, exist_ok=True)
    (out_dir / "model.c").write_text(compiled.model_c)
    (out_dir / "model.h").write_text(compiled.model_h)
    further = further_arenas(compiled.plan, compiled.model_id).items()
    arrays = "".join(f"_Alignas(MN_ARENA_ALIGN) uint8_t {name}[{size}];\n" for name, size in further)
    paint = "".join(f"    memset({name}, 0xA5, {size});\n" for name, size in further)
    (out_dir / "main.c").write_text(_MAIN.format(id=compiled.model_id, further=arrays, paint=paint))
    program = out_dir / "model"
    _compile([*compiler, *flags, f"-I{firmware_dir() / 'kernels'}", f"-I{out_dir}", str(out_dir / "model.c"),
              str(out_dir / "main.c"), str(_kernel_library(compiler, flags)), "-o", str(program)])
    return HostImage(compiled, program)


def _compile(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
    if done.returncode != 0:
        lines = [x for x in done.stderr.splitlines() if "error" in x] or done.stderr.splitlines() or ["no message"]
        raise CheckFailed(f"the generated C does not compile: {lines[0].strip()}")


def _kernel_library(compiler: tuple[str, ...], flags: tuple[str, ...]) -> Path:
    """All kernels as one archive, kept in the cache under a hash of their text, the compiler and the flags."""
    kernels = firmware_dir() / "kernels"
    sources = sorted(kernels.glob("*.c"))
    state = hashlib.sha256(" ".join((*compiler, compiler_version(*compiler), *flags)).encode())
    for path in sorted([*sources, *kernels.glob("*.h")]):
        state.update(path.name.encode() + path.read_bytes())
    archive = host_folder() / f"kernels-{state.hexdigest()[:24]}.a"
    if archive.exists():
        return archive
    with tempfile.TemporaryDirectory(dir=archive.parent) as work:
        objects = []
        for source in sources:
            objects.append(str(Path(work) / f"{source.stem}.o"))
            _compile([*compiler, *flags, f"-I{kernels}", "-c", str(source), "-o", objects[-1]])
        built = Path(work) / "kernels.a"
        subprocess.run(["ar", "rcD", str(built), *objects], check=True, capture_output=True)
        os.replace(built, archive)
    return archive
