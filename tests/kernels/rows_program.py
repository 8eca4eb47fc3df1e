# SPDX-License-Identifier: Apache-2.0
"""A host program that calls single kernels in pieces: any row ranges, ring buffers, outputs over their inputs, tensors
that are some channels of wider ones.

Every piece works on heap blocks of exactly the bytes that its rings hold, filled with noise but for the input rows that
the lowering says it reads. Sanitizers see a byte beside a block, the comparison one that is wrong or should have been
left alone.
"""
from __future__ import annotations

import random
import subprocess
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np

from mcunas.compiler.emit import _CTYPE, _array
from mcunas.compiler.lower import KernelCall, RowInput, Table, lower
from mcunas.device.host import _FLAGS, _SANITIZE, _compile, _kernel_library
from mcunas.graph import Graph, reference
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

/* Rows of `width` pixels of `bytes` each, into pixels of `step` bytes at byte `at`. */
struct part { int32_t width, bytes, step, at; };

static void put_rows(uint8_t *block, const void *rows, struct part p, int32_t held, int32_t low, int32_t high) {
  for (int32_t r = low; r < high; r++)
    for (int32_t x = 0; x < p.width; x++)
      memcpy(block + (r % held * p.width + x) * p.step + p.at, (const uint8_t *)rows + (r * p.width + x) * p.bytes,
             (size_t)p.bytes);
}

static uint8_t *ring(const void *rows, struct part p, int32_t held, int32_t low, int32_t high) {
  uint8_t *block = noise(held * p.width * p.step);
  put_rows(block, rows, p, held, low, high);
  return block;
}

static void expect_rows(const char *what, const uint8_t *block, const void *rows, struct part p, int32_t count) {
  for (int32_t i = 0; i < count * p.width; i++)
    if (memcmp(block + i * p.step + p.at, (const uint8_t *)rows + i * p.bytes, (size_t)p.bytes) != 0) {
      puts(what);
      failures++;
      return;
    }
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


@dataclass(frozen=True)
class Part:
    """`pixels` of `channels` bytes each, at byte `at` of pixels of `step` bytes."""

    pixels: int
    channels: int
    step: int
    at: int = 0

    def in_rows(self, row_bytes: int) -> str:
        """As struct part of the program."""
        return f"(struct part){{{row_bytes // self.step}, {self.channels}, {self.step}, {self.at}}}"

    def wider(self, rng: random.Random) -> Part:
        more = rng.choice((1, 2, 3, self.channels, rng.randint(1, 20)))
        return replace(self, step=self.step + more, at=rng.randint(0, more))


def _dense(graph: Graph, call: KernelCall) -> list[Part]:
    """The call's inputs and output, their channels without gaps."""
    found = []
    for t in (*call.inputs, call.outputs[0]):
        tensor = graph.tensors[t]
        channels = tensor.size_bytes // prod(tensor.shape[:-1]) if len(tensor.shape) == 4 else 1
        found.append(Part(tensor.size_bytes // max(channels, 1), channels, channels))
    return found


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
            dense, count = _dense(graph, call), pieces if call.rows else 0
            body = [line for _ in range(count) for line in self._in_pieces(call, name, dense)]
            for position in range(len(call.inputs)):
                unit = max(np.dtype(graph.tensors[t].dtype).itemsize for t in (call.inputs[position], call.outputs[0]))
                body += self._over_input(call, name, position, dense, unit)
            for _ in range(pieces if call.spaced else 0):
                spaced, parts = self._spaced(call, dense)
                body += self._in_pieces(spaced, name, parts) + self._over_input(spaced, name, 0, parts, 1)
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
                  str(_kernel_library((compiler,), flags)), "-o", str(folder / "rows")])
        done = subprocess.run([str(folder / "rows")], capture_output=True, text=True, timeout=600)
        stopped = [line for line in done.stderr.splitlines() if "error" in line.lower()]
        return done.stdout.splitlines() + stopped + ([f"exit status {done.returncode}"] if done.returncode else [])

    def _cuts(self, count: int) -> list[tuple[int, int]]:
        """Consecutive ranges of rows that cover 0..count, an empty one now and then."""
        inner = [self.rng.randint(0, count) for _ in range(self.rng.randint(0, min(count, 4)))]
        cuts = sorted([0, *inner, count])
        return list(zip(cuts, cuts[1:]))

    def _spaced(self, call: KernelCall, dense: list[Part]) -> tuple[KernelCall, list[Part]]:
        """The call between tensors of which one or both are some channels of wider ones."""
        wider = [part.wider(self.rng) for part in dense]
        for reads, writes in self.rng.choice(((True, True), (True, False), (False, True))), (False, True):
            spaced = call.spaced(wider[0].step if reads else None, wider[1].step if writes else None)
            if spaced:
                break
        return replace(spaced, inputs=call.inputs, outputs=call.outputs), [
            wider[0] if reads else dense[0], wider[1] if writes else dense[1]]

    def _in_pieces(self, call: KernelCall, name: str, parts: list[Part]) -> list[str]:
        """Every piece alone, between rings of random sizes, rows computed upwards or downwards. parts: inputs, output."""
        rows, lines, result = call.rows, [], f"{name}_t{call.outputs[0]}"
        for low, high in self._cuts(rows.count):
            spans = [_reads(how, low, high) for how in rows.inputs]
            held = {how.ring: self.rng.randint(max(1, end - first), how.rows)
                    for how, (first, end) in zip(rows.inputs, spans)}
            held[rows.ring] = self.rng.randint(max(1, high - low), rows.count)
            order = (low, high) if self.rng.random() < 0.5 else (high, low)
            lines.append("  {")
            for k, (how, span) in enumerate(zip(rows.inputs, spans)):
                lines.append(f"    uint8_t *in{k} = ring({name}_t{call.inputs[k]}, {parts[k].in_rows(how.row_bytes)}, "
                             f"{held[how.ring]}, {span[0]}, {span[1]});")
            size, names = held[rows.ring] * rows.row_bytes, [f"in{k}" for k in range(len(call.inputs))]
            into = f"{parts[-1].in_rows(rows.row_bytes)}, {held[rows.ring]}, {low}, {high}"
            lines += [f"    uint8_t *out = noise({size}), *wanted = copy(out, {size});",
                      f"    put_rows(wanted, {result}, {into});",
                      *self._call(call, self._params(call, name, held), [f"{n} + {p.at}" for n, p in zip(names, parts)],
                                  f"out + {parts[-1].at}", order),
                      f'    expect("{name} {call.kernel} rows {order}", out, wanted, {size});',
                      *[f"    free({block});" for block in (*names, "out", "wanted")], "  }"]
        return lines

    def _over_input(self, call: KernelCall, name: str, position: int, parts: list[Part], unit: int) -> list[str]:
        """The whole layer in pieces, input and output in one block at the least distance or a little more.

        unit: bytes that distances are a multiple of.
        """
        overlap, lines, read, written = call.overlap_with(position), [], parts[position], parts[-1]
        in_bytes, out_bytes = read.pixels * read.step, written.pixels * written.step
        for least, upwards in ((overlap.input_above, True), (overlap.output_above, False)):
            if least is None:
                continue
            distance = -(-max(0, least) // unit) * unit + self.rng.choice((0, 0, unit, 5 * unit))
            at_in, at_out = (distance, 0) if upwards else (0, distance)
            params, size = self._params(call, name, {}), max(at_in + in_bytes, at_out + out_bytes)
            lines += ["  {", f"    uint8_t *block = noise({size});",
                      f"    put_rows(block + {at_in}, {name}_t{call.inputs[position]}, {read.in_rows(in_bytes)}, 1, 0, 1);"]
            arguments = [f"{name}_t{t}" for t in call.inputs]
            arguments[position] = f"block + {at_in + read.at}"
            spans = self._cuts(call.rows.count) if call.rows else [()]
            for span in spans if upwards else reversed(spans):
                lines += self._call(call, params, arguments, f"block + {at_out + written.at}",
                                    span if upwards else span[::-1])
            lines += [f'    expect_rows("{name} {call.kernel} at {at_out} over input {position} at {at_in}", '
                      f"block + {at_out}, {name}_t{call.outputs[0]}, {written.in_rows(out_bytes)}, 1);",
                      "    free(block);", "  }"]
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
