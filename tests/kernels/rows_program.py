# SPDX-License-Identifier: Apache-2.0
"""A host program that calls single kernels in pieces: any row ranges, ring buffers, outputs over their inputs.

Every piece works on heap blocks of exactly the bytes that its rings hold, filled with noise but for the input rows that
the lowering says it reads. Sanitizers see a byte beside a block, the comparison one that is wrong or should have been
left alone.
"""
from __future__ import annotations

import random
import subprocess
from pathlib import Path

import numpy as np

from mcunas.compiler.emit import _CTYPE, _array
from mcunas.compiler.lower import KernelCall, RowInput, Table, lower
from mcunas.device.host import _FLAGS, _SANITIZE, _compile, _kernel_library
from mcunas.graph import reference
from mcunas.paths import firmware_dir
from tests.kernels.bundle import Case

_HEAD = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mn_kernels.h"

static uint32_t state = 1;
static int failures;

static uint8_t *noise(int32_t bytes) {
  uint8_t *block = malloc(bytes ? (size_t)bytes : 1);
  if (block == NULL) exit(2);
  for (int32_t i = 0; i < bytes; i++) block[i] = (uint8_t)((state = state * 1664525u + 1013904223u) >> 24);
  return block;
}

static void put_rows(uint8_t *block, const void *rows, int32_t row_bytes, int32_t held, int32_t low, int32_t high) {
  for (int32_t r = low; r < high; r++)
    memcpy(block + r % held * row_bytes, (const uint8_t *)rows + r * row_bytes, (size_t)row_bytes);
}

static uint8_t *ring(const void *rows, int32_t row_bytes, int32_t held, int32_t low, int32_t high) {
  uint8_t *block = noise(held * row_bytes);
  put_rows(block, rows, row_bytes, held, low, high);
  return block;
}

static uint8_t *copy(const uint8_t *block, int32_t bytes) {
  uint8_t *other = noise(bytes);
  memcpy(other, block, (size_t)bytes);
  return other;
}

static void expect(const char *what, const uint8_t *found, const void *wanted, int32_t bytes) {
  if (memcmp(found, wanted, (size_t)bytes) != 0) { puts(what); failures++; }
}
"""


class RowsProgram:
    """Collects cases; `run` builds the program and returns one line per difference."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.globals: list[str] = []
        self.functions: list[str] = []
        self.kernels: set[str] = set()

    def add(self, case: Case, isa: str, pieces: int = 5) -> None:
        """Every op of the graph that is one call: `pieces` times in random pieces, and over inputs it may overwrite."""
        graph, inputs = case
        values = reference.run(graph, inputs)
        for op in graph.ops:
            calls = lower(graph, op, isa)
            if len(calls) != 1:
                continue
            call, name = calls[0], f"case{len(self.functions)}"
            body = [line for _ in range(pieces) for line in self._in_pieces(call, name)] if call.rows else []
            for position in range(len(call.inputs)):
                sizes = [graph.tensors[t].size_bytes for t in (call.inputs[position], call.outputs[0])]
                unit = max(np.dtype(graph.tensors[t].dtype).itemsize for t in (call.inputs[position], call.outputs[0]))
                body += self._over_input(call, name, position, *sizes, unit)
            if not body:
                continue
            self.kernels.add(call.kernel)
            for t in {*call.inputs, *call.outputs}:
                tensor = graph.tensors[t]
                data = tensor.data if tensor.is_const else values[t]
                self.globals.append(_array(_CTYPE[tensor.dtype], data.reshape(-1), f"{name}_t{t}"))
            self.functions.append(f"static void {name}(void) {{\n" + "\n".join(body) + "\n}\n")

    def run(self, folder: Path, compiler: str = "gcc") -> list[str]:
        flags = (*_FLAGS, *_SANITIZE)
        calls = "\n".join(f"  case{i}();" for i in range(len(self.functions)))
        main = f"int main(void) {{\n{calls}\n  return failures != 0;\n}}\n"
        text = "\n".join([_HEAD, *self.globals, *self.functions, main])
        (folder / "rows.c").write_text(text)
        _compile([compiler, *flags, "-Wno-unused-function", f"-I{firmware_dir() / 'kernels'}", str(folder / "rows.c"),
                  str(_kernel_library(compiler, flags)), "-o", str(folder / "rows")])
        done = subprocess.run([str(folder / "rows")], capture_output=True, text=True, timeout=120)
        stopped = [line for line in done.stderr.splitlines() if "error" in line.lower()]
        return done.stdout.splitlines() + stopped + ([f"exit status {done.returncode}"] if done.returncode else [])

    def _cuts(self, count: int) -> list[tuple[int, int]]:
        """Consecutive ranges of rows that cover 0..count, an empty one now and then."""
        inner = [self.rng.randint(0, count) for _ in range(self.rng.randint(0, min(count, 4)))]
        cuts = sorted([0, *inner, count])
        return list(zip(cuts, cuts[1:]))

    def _in_pieces(self, call: KernelCall, name: str) -> list[str]:
        """Every piece alone, between rings of random sizes, rows computed upwards or downwards."""
        rows, lines, result = call.rows, [], f"{name}_t{call.outputs[0]}"
        for low, high in self._cuts(rows.count):
            spans = [_reads(how, low, high) for how in rows.inputs]
            held = {how.ring: self.rng.randint(max(1, end - first), how.rows)
                    for how, (first, end) in zip(rows.inputs, spans)}
            held[rows.ring] = self.rng.randint(max(1, high - low), rows.count)
            order = (low, high) if self.rng.random() < 0.5 else (high, low)
            lines.append("  {")
            for k, (how, span) in enumerate(zip(rows.inputs, spans)):
                lines.append(f"    uint8_t *in{k} = ring({name}_t{call.inputs[k]}, {how.row_bytes}, {held[how.ring]}, "
                             f"{span[0]}, {span[1]});")
            size, names = held[rows.ring] * rows.row_bytes, [f"in{k}" for k in range(len(call.inputs))]
            lines += [f"    uint8_t *out = noise({size}), *wanted = copy(out, {size});",
                      f"    put_rows(wanted, {result}, {rows.row_bytes}, {held[rows.ring]}, {low}, {high});",
                      *self._call(call, self._params(call, name, held), names, "out", order),
                      f'    expect("{name} {call.kernel} rows {order}", out, wanted, {size});',
                      *[f"    free({block});" for block in (*names, "out", "wanted")], "  }"]
        return lines

    def _over_input(self, call: KernelCall, name: str, position: int, in_bytes: int, out_bytes: int,
                    unit: int) -> list[str]:
        """The whole layer in pieces, input and output in one block at the least distance or a little more.

        unit: bytes that distances are a multiple of.
        """
        overlap, lines = call.overlap_with(position), []
        for least, upwards in ((overlap.input_above, True), (overlap.output_above, False)):
            if least is None:
                continue
            distance = -(-max(0, least) // unit) * unit + self.rng.choice((0, 0, unit, 5 * unit))
            at_in, at_out = (distance, 0) if upwards else (0, distance)
            params, size = self._params(call, name, {}), max(at_in + in_bytes, at_out + out_bytes)
            lines += ["  {", f"    uint8_t *block = noise({size});",
                      f"    memcpy(block + {at_in}, {name}_t{call.inputs[position]}, {in_bytes});"]
            arguments = [f"block + {at_in}" if k == position else f"{name}_t{t}" for k, t in enumerate(call.inputs)]
            spans = self._cuts(call.rows.count) if call.rows else [()]
            for span in spans if upwards else reversed(spans):
                lines += self._call(call, params, arguments, f"block + {at_out}", span if upwards else span[::-1])
            lines += [f'    expect("{name} {call.kernel} at {at_out} over input {position} at {at_in}", '
                      f"block + {at_out}, {name}_t{call.outputs[0]}, {out_bytes});", "    free(block);", "  }"]
        return lines

    def _params(self, call: KernelCall, name: str, held: dict[str, int]) -> str:
        fields, label = [], f"{name}_p{len(self.globals)}"
        for member, value in (call.params | held).items():
            if isinstance(value, Table):
                table = f"{label}_{member.replace('.', '_')}"
                self.globals.append(_array(value.ctype, value.data.reshape(-1), table))
                value = table
            elif isinstance(value, tuple):
                value = "{" + ", ".join(map(str, value)) + "}"
            fields.append(f".{member} = {value}")
        self.globals.append(f"static const struct {call.kernel} {label} = {{{', '.join(fields)}}};\n")
        return label

    @staticmethod
    def _call(call: KernelCall, params: str, inputs: list[str], out: str, span: tuple[int, ...]) -> list[str]:
        arguments = [f"&{params}", *[f"(const void *)({text})" for text in inputs], f"(void *)({out})"]
        if not call.scratch_bytes:
            return [f"    {call.kernel}({', '.join([*arguments, *map(str, span)])});"]
        return ["    {", f"      uint8_t *scratch = noise({call.scratch_bytes});",
                f"      {call.kernel}({', '.join([*arguments, 'scratch', *map(str, span)])});",
                "      free(scratch);", "    }"]


def _reads(how: RowInput, low: int, high: int) -> tuple[int, int]:
    """Input rows that output rows low..high-1 read."""
    if low == high:
        return 0, 0
    first = max(0, low * how.stride - how.before)
    return first, max(first, min(how.rows, (high - 1) * how.stride - how.before + how.reach))
